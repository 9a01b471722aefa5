import { expect, test } from "vitest";
import { shelves } from "../src/viewer/shelves";
import { panned, WHOLE_FIELD, windowOf, zoomedAt } from "../src/viewer/view";

test("the point under the pointer stays where it is", () => {
  const [x, y] = [0.3, 0.6];
  const before = zoomedAt(WHOLE_FIELD, 3);
  const after = zoomedAt(before, 2, x, y);
  const at = (view: typeof before) => {
    const { left, top, width, height } = windowOf(view);
    return [left + x * width, top + y * height];
  };
  expect(at(after)[0]).toBeCloseTo(at(before)[0] ?? 0);
  expect(at(after)[1]).toBeCloseTo(at(before)[1] ?? 0);
});

test("no view leaves the field", () => {
  for (const view of [
    panned(zoomedAt(WHOLE_FIELD, 4), 9, -9),
    zoomedAt(WHOLE_FIELD, 0.1),
    zoomedAt(WHOLE_FIELD, 1e6),
  ]) {
    const { left, top, width, height } = windowOf(view);
    expect(Math.min(left, top)).toBeGreaterThanOrEqual(-1e-9);
    expect(Math.max(left + width, top + height)).toBeLessThanOrEqual(1 + 1e-9);
  }
});

test("rectangles on shelves do not overlap and stay inside", () => {
  const { places, size } = shelves([
    { width: 90, height: 90 },
    { width: 40, height: 30 },
    { width: 40, height: 50 },
    { width: 40, height: 30 },
  ]);
  expect(places.map(({ x, y }) => [x, y])).toEqual([
    [0, 0],
    [0, 90],
    [40, 90],
    [0, 140],
  ]);
  expect(size).toEqual({ width: 90, height: 170 });
});
