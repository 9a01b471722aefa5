import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

const PACKAGE = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//;

/** Two plugins: one notes which packages end up in the bundle, the other writes their licences beside it. */
export function licenceList(): { collect: Plugin; write: Plugin } {
  const folders = new Map<string, string>();
  return {
    collect: {
      name: "collect-third-party",
      generateBundle(_, files) {
        for (const file of Object.values(files)) {
          if (file.type !== "chunk") continue;
          for (const module of file.moduleIds) {
            const [, folder, name] = PACKAGE.exec(module) ?? [];
            if (folder && name) folders.set(name, folder);
          }
        }
      },
    },
    write: {
      name: "write-third-party",
      generateBundle() {
        const sections = [...folders]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, folder]) => notice(name, folder));
        const source = `Software in the files of this folder, with its licences.\n\n${sections.join("\n")}`;
        this.emitFile({ type: "asset", fileName: "assets/THIRD_PARTY.txt", source });
      },
    },
  };
}

function notice(name: string, folder: string): string {
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : `Licence: ${license}`;
  return `=== ${name} ${version} (${license}) ===\n\n${text}\n`;
}
