import type { Explanations, Prediction } from "../service/types";
import type { ShownStack } from "../stack/reading";
import type { Point } from "../viewer/view";
import { intensity } from "./numbers";

/** A stack as the page shows it, with what has been answered of it. */
export interface Site {
  name: string;
  shown: ShownStack;
  /** Name of every channel. */
  stains: string[];
  prediction: Prediction | null;
  explanations: Explanations["explanations"] | null;
}

/** Place and intensity of every channel at a point of the field, as they are in the file. */
export function intensitiesAt({ shown, stains }: Site, point: Point): string {
  const { width, height, channels, dtype } = shown;
  const x = Math.min(width - 1, Math.max(0, Math.floor(point.x * width)));
  const y = Math.min(height - 1, Math.max(0, Math.floor(point.y * height)));
  const values = channels.map(
    ({ pixels }, index) =>
      `${stains[index]} ${intensity(pixels[y * width + x] ?? Number.NaN, dtype === "float32")}`,
  );
  return `x ${x}, y ${y}: ${values.join(" · ")}`;
}

/** The channel of a site that shows each of some stains; -1 where none does. */
export function channelsOf(site: Site, stains: readonly string[]): number[] {
  return stains.map((stain) => site.stains.indexOf(stain));
}
