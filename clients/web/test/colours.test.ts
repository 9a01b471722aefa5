import { expect, test } from "vitest";
import { COLOUR_MAP_NAMES, colourTable } from "../src/viewer/colourMaps";
import { parseColour, stainColour } from "../src/viewer/colours";

/** Relative luminance (WCAG 2.2). */
function luminance([red = 0, green = 0, blue = 0]: number[]): number {
  const linear = [red, green, blue].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
}

test.each(COLOUR_MAP_NAMES)("lightness of %s never falls, so that it can be read without colour", (name) => {
  const table = colourTable(name);
  const lightness = Array.from({ length: 256 }, (_, index) =>
    luminance([...table.slice(4 * index, 4 * index + 3)]),
  );
  // Colours are rounded to bytes.
  lightness.slice(1).forEach((value, index) => {
    expect(value).toBeGreaterThan((lightness[index] ?? 0) - 2e-3);
  });
  expect((lightness[255] ?? 0) - (lightness[0] ?? 0)).toBeGreaterThan(0.6);
});

test("the ends of inferno are those of matplotlib", () => {
  const table = colourTable("inferno");
  expect([...table.slice(0, 4), ...table.slice(-4)]).toEqual([0, 0, 4, 255, 252, 255, 164, 255]);
});

test("six stains have six colours, and colours start again after the last", () => {
  expect(new Set([0, 1, 2, 3, 4, 5].map(stainColour)).size).toBe(6);
  expect(stainColour(12)).toBe(stainColour(0));
  expect(parseColour("#ff8000")).toEqual([1, 128 / 255, 0]);
});
