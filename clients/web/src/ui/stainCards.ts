import type { ShownStack } from "../stack/reading";
import { stainColour } from "../viewer/colours";
import type { Viewer } from "../viewer/viewer";
import { Contrast } from "./contrast";
import { byId, make } from "./dom";

/** A card for each stain: its picture, name, colour, contrast limits, and whether the composite holds it. */
export class StainCards {
  private readonly section = byId("stains");
  private readonly cards = make("div", { class: "cards" });
  private contrasts: Contrast[] = [];

  constructor(
    private readonly viewer: Viewer,
    private readonly onComposite: (stains: string[]) => void,
  ) {
    const grey = make("input", { type: "checkbox", checked: true });
    grey.addEventListener("change", () => {
      viewer.areStainsGrey = grey.checked;
      viewer.repaint();
    });
    const reset = () => {
      for (const contrast of this.contrasts) contrast.reset();
    };
    this.section.append(
      make(
        "div",
        { class: "section-head" },
        make("h2", { id: "stains-title" }, "Stains"),
        make("label", { class: "check" }, grey, "Grey"),
        make(
          "button",
          { type: "button", onclick: reset, title: "Back to percentiles 0.5 and 99.7" },
          "Reset contrast",
        ),
      ),
      this.cards,
    );
  }

  /** Shows a stack, its channels named; gives the canvas of each. */
  show(stack: ShownStack, names: string[]): HTMLCanvasElement[] {
    this.contrasts = [];
    this.viewer.stains = stack.channels.map(({ limits }, index) => ({
      colour: stainColour(index),
      isOn: true,
      limits,
    }));
    const canvases = names.map((name) => make("canvas", { role: "img", "aria-label": `${name} alone` }));
    this.cards.replaceChildren(...names.map((name, index) => this.card(stack, name, index, canvases[index])));
    this.tellComposite(names);
    return canvases;
  }

  private card(
    stack: ShownStack,
    name: string,
    index: number,
    canvas: HTMLCanvasElement | undefined,
  ): HTMLElement {
    const style = this.viewer.stains[index];
    const channel = stack.channels[index];
    if (!style || !channel) return make("div");
    const isOn = make("input", { type: "checkbox", checked: true, "aria-label": `${name} in the composite` });
    isOn.addEventListener("change", () => {
      style.isOn = isOn.checked;
      this.tellComposite(this.names());
      this.viewer.repaint();
    });
    const colour = make("input", { type: "color", value: style.colour, "aria-label": `Colour of ${name}` });
    colour.addEventListener("input", () => {
      style.colour = colour.value;
      this.viewer.repaint();
    });
    const contrast = new Contrast(name, channel, stack.dtype === "float32", (limits) => {
      style.limits = limits;
      this.viewer.repaint();
    });
    this.contrasts.push(contrast);
    const label = `${name}: plus and minus zoom, arrows pan, 0 shows all`;
    return make(
      "article",
      { class: "card", "data-stain": name },
      make("div", { class: "surface", tabindex: "0", role: "group", "aria-label": label }, canvas),
      make(
        "div",
        { class: "card-head" },
        make("label", { class: "check" }, isOn, make("span", {}, name)),
        colour,
      ),
      contrast.element,
    );
  }

  private names(): string[] {
    return [...this.cards.children].map((card) => (card as HTMLElement).dataset.stain ?? "");
  }

  private tellComposite(names: string[]): void {
    this.onComposite(names.filter((_, index) => this.viewer.stains[index]?.isOn));
  }
}
