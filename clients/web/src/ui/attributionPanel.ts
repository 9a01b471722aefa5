import type { Explanations, StainAttribution } from "../service/types";
import { byId, make } from "./dom";
import { attributionProgress, short, signed } from "./numbers";

/** What each stain adds to the logit of the treatment that is shown, once it was asked for. */
export class AttributionPanel {
  private readonly section = byId("stain-attribution");
  private readonly content = make("div");
  private explanations: Explanations["explanations"] | null = null;
  private treatment = "";
  private ticking: number | undefined;

  constructor(
    private readonly onAsk: () => void,
    private readonly onCancel: () => void,
  ) {
    this.section.append(make("h2", { id: "attribution-title" }, "Which stains speak for it"), this.content);
  }

  /** Offers to ask: it takes many passes through the network. */
  offer(numStains: number): void {
    window.clearInterval(this.ticking);
    this.explanations = null;
    const passes = 2 ** numStains;
    this.content.replaceChildren(
      make(
        "p",
        { class: "quiet" },
        `Shapley values of the stains; takes ${passes} passes through the network.`,
      ),
      make("button", { type: "button", onclick: this.onAsk }, "Attribute to stains"),
    );
  }

  /** Shows how long it has taken of what it may take, given the milliseconds of one pass where they are known. */
  wait(numStains: number, passMs: number | null): void {
    window.clearInterval(this.ticking);
    const passes = 2 ** numStains;
    const expectedS = passMs === null ? null : (passes * passMs) / 1000;
    const words = make("span", { class: "quiet" });
    const bar = make("progress", { "aria-label": "Attribution to the stains" });
    const began = performance.now();
    const tell = () => {
      const { text, share } = attributionProgress((performance.now() - began) / 1000, expectedS);
      words.textContent = text;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    };
    tell();
    this.ticking = window.setInterval(tell, 250);
    this.content.replaceChildren(
      make("p", { role: "status" }, `The service makes ${passes} passes through the network.`),
      bar,
      words,
      make("div", { class: "buttons" }, make("button", { type: "button", onclick: this.onCancel }, "Cancel")),
    );
  }

  show({ explanations }: Explanations): void {
    window.clearInterval(this.ticking);
    this.explanations = explanations;
    this.draw();
  }

  /** Shows another treatment's attribution. */
  pick(treatment: string): void {
    this.treatment = treatment;
    this.draw();
  }

  private draw(): void {
    const stains = this.explanations?.[this.treatment]?.stains;
    if (stains) this.content.replaceChildren(...drawn(stains, this.treatment));
  }
}

function drawn(stains: StainAttribution, treatment: string): HTMLElement[] {
  const values = Object.entries(stains.values);
  const most = Math.max(...values.map(([, value]) => Math.abs(value)), Number.MIN_VALUE);
  const rows = values.map(([name, value]) => {
    const fill = make("span", { class: `fill ${value < 0 ? "is-against" : "is-for"}` });
    fill.style.width = `${(50 * Math.abs(value)) / most}%`;
    const track = make("span", { class: "track is-signed", "aria-hidden": "true" }, fill);
    const cell = make("div", { class: "bar" }, track, make("span", { class: "number" }, signed(value)));
    return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, cell));
  });
  return [
    make(
      "table",
      { class: "bars" },
      make("caption", { class: "hidden" }, `What each stain adds to the logit of ${treatment}`),
      make("tbody", {}, ...rows),
    ),
    make(
      "p",
      { class: "quiet" },
      `What the pattern of each stain adds to the logit of ${treatment}: bars to the right speak for it, to the left against it. ` +
        `They lead from ${short(stains.baseline_logit)} (every stain at its own mean in this field) to ${short(stains.logit)}.`,
    ),
  ];
}
