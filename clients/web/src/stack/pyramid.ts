import type { Plane } from "./planes";

/** A plane at one scale, from 0 (its least value) to 1 (its greatest), with two bytes a pixel for the GPU. */
export interface Level {
  values: Float32Array<ArrayBuffer>;
  width: number;
  height: number;
}

/** Numbers that one stack may bring to the GPU; a larger one is shown at half the scale, or a quarter. */
export const MAX_SHOWN = 64 * 2 ** 20;

/** How many pixels along an axis become one, so that all planes together stay below `MAX_SHOWN`. */
export function reduction(width: number, height: number, numPlanes: number): number {
  let factor = 1;
  while ((width / factor) * (height / factor) * numPlanes > MAX_SHOWN) factor *= 2;
  return factor;
}

/** Every level from the first that is shown down to a single pixel, each the mean of 2 × 2 of the one before. */
export function pyramid(plane: Plane, min: number, max: number, factor: number): Level[] {
  const scale = max > min ? 1 / (max - min) : 0;
  let level: Level = {
    values: Float32Array.from(plane.pixels, (value) => (value - min) * scale),
    width: plane.width,
    height: plane.height,
  };
  for (let step = factor; step > 1; step /= 2) level = halved(level);
  const levels = [level];
  while (level.width > 1 || level.height > 1) {
    level = halved(level);
    levels.push(level);
  }
  return levels;
}

/** Sizes are floored, as WebGL floors those of its mipmaps. */
export function halved({ values, width, height }: Level): Level {
  const [halfWidth, halfHeight] = [Math.max(1, width >> 1), Math.max(1, height >> 1)];
  const half = new Float32Array(halfWidth * halfHeight);
  const [right, below] = [width > 1 ? 1 : 0, height > 1 ? width : 0];
  for (let y = 0; y < halfHeight; y++) {
    for (let x = 0; x < halfWidth; x++) {
      const at = 2 * y * width + 2 * x;
      const sum = at < values.length ? pixel(values, at) + pixel(values, at + right) : 0;
      half[y * halfWidth + x] = (sum + pixel(values, at + below) + pixel(values, at + below + right)) / 4;
    }
  }
  return { values: half, width: halfWidth, height: halfHeight };
}

function pixel(values: Float32Array, at: number): number {
  return values[at] ?? 0;
}
