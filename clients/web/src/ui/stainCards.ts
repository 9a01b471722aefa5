import { type Statistics, together } from "../stack/statistics";
import { stainColour } from "../viewer/colours";
import type { Viewer } from "../viewer/viewer";
import { Contrast } from "./contrast";
import { byId, make } from "./dom";
import { channelsOf, type Site } from "./site";

/** A card for each stain: its picture, name, colour, contrast limits, and whether the composite holds it. */
export class StainCards {
  private readonly section = byId("stains");
  private readonly cards = make("div", { class: "cards" });
  private readonly sides = make("p", { class: "quiet sides", hidden: true });
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
      this.sides,
      this.cards,
    );
  }

  /** Shows a stack, its channels named, and one beside it; gives the canvas of each stain for both. */
  show(own: Site, beside: Site | null): { own: HTMLCanvasElement[]; beside: HTMLCanvasElement[] } {
    this.contrasts = [];
    const names = own.stains;
    const contrasts = statisticsOf(own, beside);
    this.viewer.stains = contrasts.map(({ limits }, index) => ({
      colour: stainColour(index),
      isOn: true,
      limits,
    }));
    const drawn = (words: string) =>
      names.map((name) => make("canvas", { role: "img", "aria-label": `${name} alone${words}` }));
    const canvases = { own: drawn(""), beside: beside ? drawn(`, ${beside.name}`) : [] };
    const isFloat = own.shown.dtype === "float32" || beside?.shown.dtype === "float32";
    this.cards.classList.toggle("are-two", beside !== null);
    this.sides.hidden = beside === null;
    this.sides.textContent = `Left ${own.name}, right ${beside?.name}: one pair of limits for both.`;
    this.cards.replaceChildren(
      ...contrasts.map((statistics, index) =>
        this.card(names[index] ?? "", index, statistics, isFloat, [
          ...canvases.own.slice(index, index + 1),
          ...canvases.beside.slice(index, index + 1),
        ]),
      ),
    );
    this.tellComposite(names);
    return canvases;
  }

  private card(
    name: string,
    index: number,
    statistics: Statistics,
    isFloat: boolean,
    canvases: HTMLCanvasElement[],
  ): HTMLElement {
    const style = this.viewer.stains[index];
    if (!style) return make("div");
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
    const contrast = new Contrast(name, statistics, isFloat, (limits) => {
      style.limits = limits;
      this.viewer.repaint();
    });
    this.contrasts.push(contrast);
    const surfaces = canvases.map((canvas) => {
      const label = `${canvas.ariaLabel}: plus and minus zoom, arrows pan, Shift and arrows move a cross, 0 shows all`;
      const described = { "aria-label": label, "aria-describedby": "readout" };
      return make("div", { class: "surface", tabindex: "0", role: "group", ...described }, canvas);
    });
    return make(
      "article",
      { class: "card", "data-stain": name },
      make("div", { class: "pair" }, ...surfaces),
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

/** What the contrast of each stain runs over: both stacks where one stands beside. */
function statisticsOf(own: Site, beside: Site | null): Statistics[] {
  const channels = beside ? channelsOf(beside, own.stains) : [];
  return own.shown.channels.map((channel, index) => {
    const other = beside?.shown.channels[channels[index] ?? -1];
    return other ? together(channel, other) : channel;
  });
}
