import type { BundleInfo, Example } from "../service/types";
import { stainColour } from "../viewer/colours";
import { byId, make } from "./dom";

interface Callbacks {
  onFiles(files: File[]): void;
  onExample(example: Example, name: string): void;
}

/** Where a stack comes in: dropped anywhere on the page, chosen, or one of the examples. */
export class Intake {
  private readonly section = byId("intake");
  private readonly title = make("h2", { id: "intake-title" }, "Drop a stack here");
  private readonly expected = make("div", { class: "expected" });
  private readonly found = make("p");
  private readonly examples = make("div", {
    class: "examples",
    role: "group",
    "aria-label": "Example stacks",
  });
  private readonly input = make("input", {
    type: "file",
    multiple: true,
    hidden: true,
    accept: ".tif,.tiff,.png,image/tiff,image/png",
  });

  constructor(private readonly callbacks: Callbacks) {
    const choose = make(
      "button",
      { type: "button", class: "primary", onclick: () => this.input.click() },
      "Choose files",
    );
    this.section.append(
      make("div", { class: "intake-words" }, this.title, this.expected),
      make("div", { class: "intake-actions" }, choose, this.examples),
      this.input,
    );
    this.input.addEventListener("change", () => {
      const files = [...(this.input.files ?? [])];
      this.input.value = ""; // so that the same file can be chosen again
      this.take(files);
    });
    this.listenToDrops();
  }

  /** Says what the bundle takes. */
  showBundle({ manifest }: BundleInfo): void {
    const { channels, min_size_px: least } = manifest.input;
    this.expected.replaceChildren(
      make(
        "p",
        {},
        `One TIFF of ${channels.length} channels, or ${channels.length} single-channel TIFFs or PNGs with their stains or numbers in their names; ` +
          `at least ${least} × ${least} pixels, 8 or 16 bits or float. The channels are:`,
      ),
      make(
        "ol",
        { class: "stain-list" },
        ...channels.map((name, index) => {
          const dot = make("span", { class: "dot", "aria-hidden": "true" });
          dot.style.background = stainColour(index);
          return make("li", {}, dot, name);
        }),
      ),
    );
  }

  showExamples(examples: Example[]): void {
    this.examples.replaceChildren(
      make("span", { class: "quiet" }, "or try"),
      ...examples.map((example, index) => {
        const name = `Example ${index + 1}`;
        const kind = `${example.height} × ${example.width}, ${example.dtype}`;
        const onclick = () => this.callbacks.onExample(example, name);
        return make("button", { type: "button", title: kind, onclick }, name);
      }),
    );
  }

  /** Shrinks to a line that names the stack shown. */
  showStack(name: string, facts: string): void {
    this.section.classList.add("is-small");
    this.title.textContent = name;
    this.expected.replaceChildren(make("p", {}, facts), this.found);
    this.found.textContent = "";
  }

  /** Says what was found in it. */
  addFacts(facts: string): void {
    this.found.textContent = facts;
  }

  private take(files: File[]): void {
    if (files.length > 0) this.callbacks.onFiles(files);
  }

  private listenToDrops(): void {
    let depth = 0; // a drag enters a child before it leaves the parent
    const mark = (change: number) => {
      depth = Math.max(0, depth + change);
      document.body.classList.toggle("is-dragged-over", depth > 0);
    };
    window.addEventListener("dragenter", () => mark(1));
    window.addEventListener("dragleave", () => mark(-1));
    window.addEventListener("dragover", (event) => event.preventDefault());
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      mark(-depth);
      this.take([...(event.dataTransfer?.files ?? [])]);
    });
  }
}
