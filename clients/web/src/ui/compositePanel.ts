import { WHOLE_FIELD, zoomedAt } from "../viewer/view";
import type { Viewer } from "../viewer/viewer";
import { byId, make } from "./dom";
import type { HeatmapControls } from "./heatmapControls";

/** The composite with its zoom buttons, and below it what the heatmap shows. */
export class CompositePanel {
  readonly canvas = make("canvas", { role: "img", "aria-label": "Composite" });

  constructor(viewer: Viewer, heatmap: HeatmapControls) {
    const button = (text: string, label: string, onclick: () => void) =>
      make("button", { type: "button", "aria-label": label, title: label, onclick }, text);
    const scale = make("output", { class: "quiet" });
    viewer.onView = ({ zoom }) => {
      // Fingers scroll the page past pictures that have nowhere to move.
      document.body.classList.toggle("is-zoomed", zoom > 1);
      scale.textContent = zoom > 1 ? `${zoom.toFixed(1)} ×` : "whole field";
    };
    const label = "Composite: plus and minus zoom, arrows pan, 0 shows all";
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
      make("div", { class: "surface", tabindex: "0", role: "group", "aria-label": label }, this.canvas),
      make(
        "p",
        { class: "quiet hint" },
        "Drag to pan; Ctrl and wheel, pinch or double click to zoom. All panels move together.",
      ),
      heatmap.element,
    );
  }

  /** Names the stains that the composite holds. */
  tellStains(names: string[]): void {
    this.canvas.setAttribute(
      "aria-label",
      names.length > 0 ? `Composite of ${names.join(", ")}` : "Composite of no stain",
    );
  }
}
