import type { Statistics } from "../stack/statistics";
import { make } from "./dom";
import { intensity } from "./numbers";

/** Two handles over the histogram of a channel. */
export class Contrast {
  readonly element: HTMLElement;
  private readonly low: HTMLInputElement;
  private readonly high: HTMLInputElement;
  private readonly words = make("output", { class: "limits" });
  private readonly span = make("span", { class: "contrast-span" });

  constructor(
    stain: string,
    private readonly channel: Statistics,
    private readonly isFloat: boolean,
    private readonly onChange: (limits: [number, number]) => void,
  ) {
    [this.low, this.high] = [this.handle(`${stain}: contrast from`), this.handle(`${stain}: contrast to`)];
    this.low.addEventListener("input", () => this.take(this.low));
    this.high.addEventListener("input", () => this.take(this.high));
    const track = make("span", { class: "contrast-track", "aria-hidden": "true" }, this.span);
    const handles = make("div", { class: "contrast" }, histogramOf(channel), track, this.low, this.high);
    this.element = make("div", {}, handles, this.words);
    this.set(channel.limits);
  }

  /** Back to the percentiles. */
  reset(): void {
    this.set(this.channel.limits);
    this.onChange(this.channel.limits);
  }

  private handle(label: string): HTMLInputElement {
    const { min, max } = this.channel;
    const step = this.isFloat ? "any" : "1";
    return make("input", { type: "range", min, max, step, "aria-label": label });
  }

  private take(moved: HTMLInputElement): void {
    // Neither handle passes the other: the one that is moved stops.
    if (this.low.valueAsNumber > this.high.valueAsNumber) {
      moved.value = moved === this.low ? this.high.value : this.low.value;
    }
    const limits: [number, number] = [this.low.valueAsNumber, this.high.valueAsNumber];
    this.set(limits);
    this.onChange(limits);
  }

  private set([low, high]: [number, number]): void {
    this.low.value = String(low);
    this.high.value = String(high);
    this.words.textContent = `${intensity(low, this.isFloat)} – ${intensity(high, this.isFloat)}`;
    const { min, max } = this.channel;
    this.span.style.left = `${(100 * (low - min)) / (max - min)}%`;
    this.span.style.right = `${(100 * (max - high)) / (max - min)}%`;
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Counts by their square root, as most pixels are background. */
function histogramOf({ histogram }: Statistics): SVGSVGElement {
  const picture = document.createElementNS(SVG, "svg");
  const heights = Array.from(histogram, (count) => Math.sqrt(count));
  const top = Math.max(...heights, 1);
  picture.setAttribute("viewBox", `0 0 ${heights.length} 1`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  const steps = heights.map((height, bin) => `V${1 - height / top}H${bin + 1}`).join("");
  path.setAttribute("d", `M0 1${steps}V1Z`);
  picture.append(path);
  return picture;
}
