import type { Pixels } from "./planes";

/** Where contrast starts and ends by default, in percent of the pixels: as in the service's overlays. */
export const LIMIT_PERCENTILES: [number, number] = [0.5, 99.7];

/** Percentiles of more pixels than these are taken of every n-th one. */
const MAX_SORTED = 1 << 18;

export interface Statistics {
  min: number;
  max: number;
  /** Contrast limits by percentile, apart from each other even where the channel is flat. */
  limits: [number, number];
  /** Pixels in each of 64 steps from min to max. */
  histogram: Uint32Array<ArrayBuffer>;
}

export function describe(pixels: Pixels): Statistics {
  const [min, max] = finiteRange(pixels);
  const sorted = sortedSample(pixels);
  let [low, high] = LIMIT_PERCENTILES.map((percent) => percentile(sorted, percent)) as [number, number];
  if (high <= low) [low, high] = [min, max];
  if (high <= low) high = low + 1;
  return { min, max: Math.max(max, high), limits: [low, high], histogram: histogram(pixels, min, max) };
}

/** Statistics of two channels that are shown by one contrast: between the lower of the limits and the higher. */
export function together(
  one: Statistics & { pixels: Pixels },
  other: Statistics & { pixels: Pixels },
): Statistics {
  const [min, max] = [Math.min(one.min, other.min), Math.max(one.max, other.max)];
  const [ones, others] = [histogram(one.pixels, min, max), histogram(other.pixels, min, max)];
  return {
    min,
    max,
    limits: [Math.min(one.limits[0], other.limits[0]), Math.max(one.limits[1], other.limits[1])],
    histogram: ones.map((count, bin) => count + (others[bin] ?? 0)),
  };
}

/** Percentile of sorted numbers, interpolated linearly as NumPy does. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  const position = ((sorted.length - 1) * percent) / 100;
  const lower = Math.floor(position);
  const [before, after] = [sorted[lower] ?? 0, sorted[Math.min(lower + 1, sorted.length - 1)] ?? 0];
  return before + (position - lower) * (after - before);
}

function finiteRange(pixels: Pixels): [number, number] {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of pixels) {
    if (value < min && value !== Number.NEGATIVE_INFINITY) min = value;
    if (value > max && value !== Number.POSITIVE_INFINITY) max = value;
  }
  return min <= max ? [min, max] : [0, 0];
}

function sortedSample(pixels: Pixels): Float32Array {
  const step = Math.ceil(pixels.length / MAX_SORTED);
  const sample = new Float32Array(Math.ceil(pixels.length / step));
  for (let index = 0; index < sample.length; index++) sample[index] = pixels[index * step] ?? 0;
  return sample.filter(Number.isFinite).sort();
}

function histogram(pixels: Pixels, min: number, max: number): Uint32Array<ArrayBuffer> {
  const counts = new Uint32Array(64);
  const scale = max > min ? counts.length / (max - min) : 0;
  for (const value of pixels) {
    const bin = Math.min(counts.length - 1, Math.floor((value - min) * scale));
    if (bin >= 0) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}
