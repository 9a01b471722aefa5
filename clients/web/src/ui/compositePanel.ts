import { scaleBar } from "../viewer/scaleBar";
import { type Point, type View, WHOLE_FIELD, zoomedAt } from "../viewer/view";
import type { Viewer } from "../viewer/viewer";
import { byId, make } from "./dom";
import type { HeatmapControls } from "./heatmapControls";
import { probability } from "./numbers";
import { intensitiesAt, type Site } from "./site";

const KEYS = "plus and minus zoom, arrows pan, Shift and arrows move a cross, 0 shows all";

/** A composite with its scale bar, and what is said of its stack. */
class Figure {
  readonly canvas = make("canvas", { role: "img", "aria-label": "Composite" });
  readonly element: HTMLElement;
  private readonly bar = make("span", { class: "scale-bar", hidden: true });
  private readonly caption = make("figcaption", { class: "quiet", hidden: true });
  private readonly surface: HTMLElement;
  private site: Site | null = null;

  constructor(label: string) {
    this.surface = make(
      "div",
      {
        class: "surface",
        tabindex: "0",
        role: "group",
        "aria-label": `${label}: ${KEYS}`,
        "aria-describedby": "readout",
      },
      this.canvas,
      this.bar,
    );
    this.element = make("figure", {}, this.surface, this.caption);
  }

  show(site: Site | null, isOneOfTwo: boolean): void {
    this.site = site;
    this.caption.hidden = !isOneOfTwo;
    if (site) this.caption.replaceChildren(make("strong", {}, site.name), make("span", {}, verdict(site)));
  }

  /** A bar stands only where the file says how wide a pixel is. */
  scale(view: View): void {
    const { pixelUm, width } = this.site?.shown ?? { pixelUm: null, width: 0 };
    this.bar.hidden = pixelUm === null;
    if (pixelUm === null) return;
    const { label, share } = scaleBar((pixelUm * width) / view.zoom);
    this.bar.style.width = `${100 * share}%`;
    this.bar.textContent = label;
  }
}

/** The composite with its zoom buttons, one beside it to compare with, and below what the heatmap shows. */
export class CompositePanel {
  private readonly own = new Figure("Composite");
  private readonly beside = new Figure("Composite of the stack beside");
  private readonly figures = make("div", { class: "figures" }, this.own.element);
  private readonly readout = make("p", { id: "readout", class: "quiet readout", "aria-live": "off" });
  private readonly keep: HTMLButtonElement;
  private readonly letGo: HTMLButtonElement;
  private readonly keptWords = make("p", { class: "quiet sides", role: "status" });
  private sites: (Site | null)[] = [];
  private view: View = WHOLE_FIELD;

  constructor(viewer: Viewer, heatmap: HeatmapControls, onKeep: () => void, onLetGo: () => void) {
    const button = (text: string, label: string, onclick: () => void) =>
      make("button", { type: "button", "aria-label": label, title: label, onclick }, text);
    const scale = make("output", { class: "quiet" });
    viewer.onView = (view) => {
      // Fingers scroll the page past pictures that have nowhere to move.
      document.body.classList.toggle("is-zoomed", view.zoom > 1);
      scale.textContent = view.zoom > 1 ? `${view.zoom.toFixed(1)} ×` : "whole field";
      this.view = view;
      this.scale();
    };
    viewer.onPoint = (point, isByKey) => this.tellPoint(point, isByKey);
    this.keep = make("button", { type: "button", onclick: onKeep }, "Keep to compare");
    this.letGo = make("button", { type: "button", onclick: onLetGo, hidden: true }, "Let it go");
    byId("composite").append(
      make(
        "div",
        { class: "section-head" },
        make("h2", { id: "composite-title" }, "Composite"),
        scale,
        make(
          "div",
          { class: "buttons", role: "group", "aria-label": "Zoom of all panels" },
          button("−", "Zoom out", () => viewer.changeView((view) => zoomedAt(view, 1 / 1.5))),
          button("+", "Zoom in", () => viewer.changeView((view) => zoomedAt(view, 1.5))),
          button("Fit", "Fit the whole field", () => viewer.changeView(() => WHOLE_FIELD)),
        ),
      ),
      this.figures,
      this.readout,
      make(
        "p",
        { class: "quiet hint" },
        "Drag to pan; Ctrl and wheel, pinch or double click to zoom. All panels move together.",
      ),
      make("div", { class: "buttons kept" }, this.keep, this.letGo, this.keptWords),
      heatmap.element,
    );
    this.tellPoint(null, false);
  }

  get canvas(): HTMLCanvasElement {
    return this.own.canvas;
  }

  get canvasBeside(): HTMLCanvasElement {
    return this.beside.canvas;
  }

  /** Shows whose composites these are, and which stack is kept for the next. */
  showSites(own: Site | null, kept: Site | null): void {
    const beside = kept === own ? null : kept;
    this.sites = [own, beside];
    this.own.show(own, beside !== null);
    this.beside.show(beside, true);
    this.figures.classList.toggle("are-two", beside !== null);
    // Put in and taken out only when it changes, so that neither loses the focus.
    if (beside === null) this.beside.element.remove();
    else if (!this.beside.element.isConnected) this.figures.append(this.beside.element);
    this.keep.hidden = kept === own;
    this.letGo.hidden = kept === null;
    this.keptWords.textContent =
      kept === null ? "" : beside ? "" : `${kept.name} is kept: open the stack to see beside it.`;
    if (kept) this.letGo.textContent = beside ? "Remove the stack beside" : "Let it go";
    this.scale();
  }

  /** Names the stains that the composite holds. */
  tellStains(names: string[]): void {
    const words = names.length > 0 ? `of ${names.join(", ")}` : "of no stain";
    this.own.canvas.setAttribute("aria-label", `Composite ${words}`);
    this.beside.canvas.setAttribute("aria-label", `Composite of the stack beside, ${words}`);
  }

  private scale(): void {
    this.own.scale(this.view);
    this.beside.scale(this.view);
  }

  /** Spoken only where keys moved the cross, as a pointer passes over too many. */
  private tellPoint(point: Point | null, isByKey: boolean): void {
    this.readout.setAttribute("aria-live", isByKey ? "polite" : "off");
    const sites = this.sites.filter((site) => site !== null);
    const lines = point
      ? sites.map((site) => (sites.length > 1 ? `${site.name}: ` : "") + intensitiesAt(site, point))
      : ["Point at a panel for its intensities, or move a cross with Shift and arrows."];
    this.readout.replaceChildren(...lines.map((line) => make("span", {}, line)));
  }
}

function verdict({ prediction }: Site): string {
  if (!prediction) return "no answer yet";
  const { prediction: classifier, forest } = prediction;
  return (
    `Classifier ${classifier.treatment} ${probability(classifier.probability)}, ` +
    `forest ${forest.treatment} ${probability(forest.probability)}`
  );
}
