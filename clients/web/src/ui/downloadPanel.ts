import { type Api, EXPLAIN_ALL, inOrder, OVERLAY, PREDICT, type StackRequest } from "../service/api";
import { curlLine } from "../service/curl";
import { IMAGE_ENDING } from "../stack/fileOrder";
import { copyTextOf } from "./copy";
import { byId, make } from "./dom";
import { save } from "./save";

/** The stack that is shown, as it was sent. */
export interface Sent {
  /** Name of its file, and of the downloads without the ending. */
  fileName: string;
  content: Blob;
  /** The stain of each channel, where the names of files or the reader told it. */
  channels: string[] | null;
  /** What told the order of several files; null where it was one file, or the reader chose. */
  orderFrom: "file names" | "file numbers" | null;
  /** Whether the reader has no file of it: the page put it together or fetched it. */
  isOurs: boolean;
}

/** The service's answers as files, and how to ask for the same from a shell. */
export class DownloadPanel {
  private readonly section = byId("downloads");
  private readonly line = make("code", { class: "curl" });
  private sent: Sent | null = null;
  private treatment = "";

  constructor(
    private readonly api: Api,
    private readonly onProblem: (error: unknown, tryAgain: () => Promise<void>) => void,
  ) {}

  show(sent: Sent): void {
    this.sent = sent;
    const stack = make(
      "button",
      { type: "button", onclick: () => save(sent.content, sent.fileName) },
      "Stack .tif",
    );
    const copied = make("span", { role: "status", class: "quiet" });
    const onclick = async () => {
      const isCopied = await copyTextOf(this.line);
      copied.textContent = isCopied
        ? "copied"
        : "This browser copies nothing here: the line is selected, press Ctrl+C.";
      if (isCopied) setTimeout(() => copied.replaceChildren(), 2000);
    };
    this.section.replaceChildren(
      make("h2", { id: "downloads-title" }, "Downloads"),
      make(
        "div",
        { class: "buttons" },
        ...Object.keys(FILES).map((name) =>
          make("button", { type: "button", onclick: () => this.fetch(name) }, name),
        ),
        sent.isOurs ? stack : null,
      ),
      make("p", { class: "quiet" }, "Overlay and heatmap are of the treatment shown. The same from a shell:"),
      make("pre", { tabindex: "0", "aria-label": "curl line" }, this.line),
      make("div", { class: "buttons" }, make("button", { type: "button", onclick }, "Copy"), copied),
    );
    this.tell("Prediction .json");
  }

  pick(treatment: string): void {
    this.treatment = treatment;
    if (this.sent) this.tell(this.told);
  }

  private told = "Prediction .json";

  private async fetch(name: string): Promise<void> {
    const { sent } = this;
    if (!sent) return;
    this.tell(name);
    try {
      const { request, output } = this.plan(name, sent);
      save(new Blob([await this.api.post(request, sent.content)], { type: request.accept }), output);
    } catch (error) {
      this.onProblem(error, () => this.fetch(name));
    }
  }

  private tell(name: string): void {
    if (!this.sent) return;
    this.told = name;
    const { request, output } = this.plan(name, this.sent);
    const base = new URL(".", location.href).href;
    const withKey = this.api.key !== null;
    this.line.textContent = curlLine(request, { base, file: this.sent.fileName, output, withKey });
  }

  private plan(name: string, sent: Sent): { request: StackRequest; output: string } {
    const { request, ending, ofTreatment } = FILES[name] ?? { request: PREDICT, ending: ".predict.json" };
    const stem = sent.fileName.replace(IMAGE_ENDING, "");
    const asked =
      ofTreatment && this.treatment ? { ...request, query: { treatment: this.treatment } } : request;
    return { request: inOrder(asked, sent.channels), output: stem + ending };
  }
}

const FILES: Record<string, { request: StackRequest; ending: string; ofTreatment?: boolean }> = {
  "Prediction .json": { request: PREDICT, ending: ".predict.json" },
  "Explanations .json": { request: EXPLAIN_ALL, ending: ".explain.json" },
  "Overlay .png": {
    request: OVERLAY,
    ending: ".overlay.png",
    ofTreatment: true,
  },
  "Heatmap .tif": {
    request: { route: "explain", accept: "image/tiff", query: {} },
    ending: ".heatmap.tif",
    ofTreatment: true,
  },
  "Embedding .npy": {
    request: { route: "embed", accept: "application/x-npy", query: {} },
    ending: ".embedding.npy",
  },
};
