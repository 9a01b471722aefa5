import { expect, test } from "vitest";
import { halved, MAX_SHOWN, pyramid, reduction } from "../src/stack/pyramid";

test("a level is the mean of 2 × 2 of the one before, sizes floored as WebGL's", () => {
  const level = halved({ values: Float32Array.of(1, 3, 9, 5, 7, 9), width: 3, height: 2 });
  expect(level).toEqual({ values: Float32Array.of(4), width: 1, height: 1 });
});

test("a line is halved along its length alone", () => {
  expect(halved({ values: Float32Array.of(1, 3, 5, 9), width: 4, height: 1 }).values).toEqual(
    Float32Array.of(2, 7),
  );
});

test("levels lead from the field, scaled to 0 and 1, to one pixel", () => {
  const levels = pyramid(
    { pixels: Uint8Array.of(10, 20, 30, 40, 10, 20, 30, 40), width: 4, height: 2 },
    10,
    40,
    1,
  );
  expect(levels.map(({ width, height }) => [width, height])).toEqual([
    [4, 2],
    [2, 1],
    [1, 1],
  ]);
  expect(levels[0]?.values[3]).toBe(1);
  expect(levels[2]?.values[0]).toBeCloseTo(0.5);
});

test("large stacks are reduced until they fit", () => {
  expect(reduction(1080, 1080, 6)).toBe(1);
  const factor = reduction(4472, 4472, 6);
  expect((4472 / factor) ** 2 * 6).toBeLessThanOrEqual(MAX_SHOWN);
  expect(factor).toBe(2);
});
