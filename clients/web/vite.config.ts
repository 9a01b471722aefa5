import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { licenceList } from "./licences";

const licences = licenceList();

export default defineConfig({
  // Relative addresses hold behind a proxy that adds a prefix.
  base: "./",
  resolve: {
    alias: [
      {
        find: /^\.\/(deflate|jpeg|lerc|webimage|zstd)\.js$/,
        replacement: fileURLToPath(new URL("src/stack/unreadCodec.ts", import.meta.url)),
      },
    ],
  },
  // The service's policy forbids data: addresses, so that every file stays a file.
  build: {
    outDir: "../../service/src/phenoserve/http/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
  },
  worker: { format: "es", plugins: () => [licences.collect] },
  plugins: [licences.collect, licences.write],
  server: {
    proxy: Object.fromEntries(
      ["/bundle", "/examples", "/predict", "/embed", "/explain", "/docs"].map((route) => [
        route,
        "http://127.0.0.1:8000",
      ]),
    ),
  },
});
