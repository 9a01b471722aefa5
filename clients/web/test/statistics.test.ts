import { expect, test } from "vitest";
import { describe, percentile } from "../src/stack/statistics";

test("percentiles are those of NumPy's linear interpolation", () => {
  const sorted = [1, 2, 4, 8];
  expect([0, 25, 50, 75, 100].map((percent) => percentile(sorted, percent))).toEqual([1, 1.75, 3, 5, 8]);
});

test("limits lie at the percentiles, and the histogram counts every pixel", () => {
  const pixels = Uint16Array.from({ length: 1001 }, (_, index) => 1000 - index);
  const { min, max, limits, histogram } = describe(pixels);
  expect([min, max]).toEqual([0, 1000]);
  expect(limits[0]).toBeCloseTo(5);
  expect(limits[1]).toBeCloseTo(997);
  expect(histogram.reduce((sum, count) => sum + count, 0)).toBe(1001);
});

test("a flat channel has limits that are apart", () => {
  const { min, max, limits } = describe(new Uint8Array(64).fill(7));
  expect([min, max, ...limits]).toEqual([7, 8, 7, 8]);
});

test("pixels that are not finite are left out", () => {
  const { min, max, limits } = describe(Float32Array.of(Number.NaN, -1, Number.POSITIVE_INFINITY, 3, 1));
  expect([min, max]).toEqual([-1, 3]);
  expect(limits.every(Number.isFinite)).toBe(true);
});

test("a channel with a few bright pixels is still seen: limits fall back to its range", () => {
  const pixels = new Uint8Array(10_000);
  pixels[0] = 200;
  expect(describe(pixels).limits).toEqual([0, 200]);
});
