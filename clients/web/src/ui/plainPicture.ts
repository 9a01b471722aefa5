import { type Api, inOrder, OVERLAY } from "../service/api";
import { byId, make } from "./dom";
import type { Sent } from "./downloadPanel";

/** The service's own overlay of a stack that the page cannot draw. */
export class PlainPicture {
  private readonly canvas = make("canvas", { role: "img" });
  private readonly section = make(
    "section",
    { class: "plain", "aria-labelledby": "plain-title", hidden: true },
    make("h2", { id: "plain-title" }, "Heatmap, drawn by the service"),
    make("div", { tabindex: "0", role: "group", "aria-labelledby": "plain-title" }, this.canvas),
  );
  private isWanted = false;
  private sent: Sent | null = null;
  private treatment = "";
  private drawing = new AbortController();

  constructor(
    private readonly api: Api,
    private readonly onProblem: (error: unknown, tryAgain: () => Promise<void>) => void,
  ) {
    byId("workspace").prepend(this.section);
  }

  /** Forgets the stack before. */
  forget(): void {
    this.drawing.abort();
    [this.isWanted, this.sent, this.treatment] = [false, null, ""];
    this.section.hidden = true;
  }

  /** The page has no picture of its own. */
  want(): void {
    this.isWanted = true;
    void this.draw();
  }

  /** Takes the stack once the service has answered; its order may be another than before. */
  take(sent: Sent): void {
    this.sent = sent;
  }

  pick(treatment: string): void {
    this.treatment = treatment;
    void this.draw();
  }

  private async draw(): Promise<void> {
    const { isWanted, sent, treatment } = this;
    if (!isWanted || !sent || !treatment) return;
    this.drawing.abort();
    this.drawing = new AbortController();
    const { signal } = this.drawing;
    try {
      const request = inOrder({ ...OVERLAY, query: { treatment } }, sent.channels);
      const content = await this.api.post(request, sent.content, { signal });
      const picture = await createImageBitmap(new Blob([content], { type: OVERLAY.accept }));
      if (signal.aborted) return;
      [this.canvas.width, this.canvas.height] = [picture.width, picture.height];
      this.canvas.getContext("2d")?.drawImage(picture, 0, 0);
      this.canvas.setAttribute("aria-label", `Every stain, and over it what speaks for ${treatment}`);
      this.section.hidden = false;
    } catch (error) {
      if (!signal.aborted) this.onProblem(error, () => this.draw());
    }
  }
}
