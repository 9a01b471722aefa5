import type { Explanations, Prediction } from "../service/types";
import { COLOUR_MAP_NAMES, type ColourMapName, colourTable } from "../viewer/colourMaps";
import type { Viewer } from "../viewer/viewer";
import { choice, make } from "./dom";
import { probability, short } from "./numbers";

/** Which treatment's heatmap lies over which panels, how, and what its colours mean. */
export class HeatmapControls {
  readonly element = make("div", { class: "heatmap", role: "group", "aria-label": "Heatmap" });
  onTreatment: (treatment: string) => void = () => {};

  private explanations: Explanations["explanations"] | null = null;
  /** Of the stack beside, where there is one. */
  private beside: Explanations["explanations"] | null = null;
  private treatment = "";
  private readonly treatments = choice("Evidence for", [], (value) => this.pick(value));
  private readonly over = choice("Over", [], (value) => this.setOver(value));
  private readonly shared = make("input", { type: "checkbox" });
  private readonly opacity = make("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 60,
    "aria-label": "Opacity",
  });
  private readonly ramp = make("canvas", { class: "ramp", width: 256, height: 1, role: "img" });
  private readonly top = make("output", {});
  private readonly meaning = make("p", { class: "quiet" });

  constructor(private readonly viewer: Viewer) {
    const maps = choice(
      "Colours",
      COLOUR_MAP_NAMES.map((name) => [name, name]),
      (value) => this.setColourMap(value as ColourMapName),
    );
    this.opacity.addEventListener("input", () => {
      viewer.heat.opacity = this.opacity.valueAsNumber / 100;
      viewer.repaint();
    });
    this.shared.addEventListener("change", () => this.layOver());
    this.element.append(
      make(
        "div",
        { class: "fields" },
        this.treatments.field,
        this.over.field,
        maps.field,
        make("label", { class: "field" }, make("span", {}, "Opacity"), this.opacity),
      ),
      make("div", { class: "scale" }, make("span", {}, "0"), this.ramp, this.top),
      make("label", { class: "check" }, this.shared, "One scale for all treatments"),
      this.meaning,
    );
    this.element.hidden = true;
    this.drawRamp();
  }

  /** Offers the panels of the picture that is shown now; the answer may have come before it. */
  showStains(names: string[], beside: Explanations["explanations"] | null): void {
    this.beside = beside;
    this.over.select.replaceChildren(
      make("option", { value: "all" }, "every panel"),
      make("option", { value: "composite" }, "the composite"),
      ...names.map((name, index) => make("option", { value: String(index) }, name)),
    );
    this.viewer.heat.over = "all";
    this.layOver();
  }

  /** Takes every treatment's heatmap, and shows the predicted one's. */
  show({ explanations }: Explanations, prediction: Prediction): void {
    this.explanations = explanations;
    this.treatments.select.replaceChildren(
      ...Object.keys(explanations).map((name) =>
        make("option", { value: name }, `${name} (${probability(prediction.probabilities[name] ?? 0)})`),
      ),
    );
    this.element.hidden = false;
    this.pick(explanations[this.treatment] ? this.treatment : prediction.prediction.treatment);
  }

  /** Forgets the stack before: the next one starts with its predicted treatment. */
  forget(): void {
    this.explanations = null;
    this.treatment = "";
    this.element.hidden = true;
  }

  /** Shows a treatment's heatmap, if there are any. */
  pick(treatment: string): void {
    if (!this.explanations?.[treatment]) return;
    this.treatment = treatment;
    this.treatments.select.value = treatment;
    this.layOver();
    this.onTreatment(treatment);
  }

  private layOver(): void {
    const map = this.explanations?.[this.treatment]?.heatmap;
    if (!map || !this.explanations) return;
    const mapBeside = this.beside?.[this.treatment]?.heatmap ?? null;
    const all = [this.explanations, this.beside ?? {}].flatMap((maps) => Object.values(maps));
    const top = this.shared.checked
      ? Math.max(...all.map(({ heatmap }) => heatmap.max))
      : Math.max(map.max, mapBeside?.max ?? 0);
    this.viewer.setHeatmaps([map, mapBeside], top);
    this.top.textContent = short(top);
    this.meaning.textContent =
      map.max > 0
        ? `Grad-CAM: how much each place of ${map.scale_px[0]} × ${map.scale_px[1]} pixels speaks for ${this.treatment}; ` +
          "brighter and more opaque is more."
        : `No place of the field speaks for ${this.treatment}: its map is zero everywhere.`;
  }

  private setOver(value: string): void {
    this.viewer.heat.over = value === "all" || value === "composite" ? value : Number(value);
    this.viewer.repaint();
  }

  private setColourMap(name: ColourMapName): void {
    this.viewer.setColourMap(name);
    this.drawRamp();
  }

  private drawRamp(): void {
    const name = this.viewer.heat.colourMap;
    const colours = new ImageData(new Uint8ClampedArray(colourTable(name)), 256, 1);
    this.ramp.getContext("2d")?.putImageData(colours, 0, 0);
    this.ramp.setAttribute("aria-label", `Colours of the scale, ${name}, from no evidence to the most`);
  }
}
