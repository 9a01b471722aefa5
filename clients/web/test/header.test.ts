import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { onlyShowsIntensities } from "../src/stack/lookupTable";
import { micrometresOf } from "../src/stack/pixelSize";

interface Case {
  name: string;
  points: [number, number, number, number][];
  scale: number;
  header: string;
  intensities: boolean;
}

const { cases } = JSON.parse(
  readFileSync(new URL("../../../tests/cases/palettes.json", import.meta.url), "utf-8"),
) as { cases: Case[] };

/** Red, then green, then blue of 256 entries, in even steps between the points, rounded down. */
function paletteOf({ points, scale }: Case): number[] {
  return [1, 2, 3].flatMap((colour) =>
    Array.from({ length: 256 }, (_, index) => {
      const next = Math.max(
        1,
        points.findIndex(([at]) => at >= index),
      );
      const [from = [], to = []] = points.slice(next - 1, next + 1) as number[][];
      const [[before = 0, low = 0], [after = 0, high = 0]] = [
        [from[0], from[colour]],
        [to[0], to[colour]],
      ];
      return scale * Math.floor(low + ((index - before) / (after - before)) * (high - low));
    }),
  );
}

test.each(cases)("a palette is told as everywhere: $name", (one) => {
  expect(onlyShowsIntensities(paletteOf(one), one.header)).toBe(one.intensities);
});

const OME = (attributes: string) => `<?xml version="1.0"?><OME><Image><Pixels ${attributes}/></Image></OME>`;

test.each<[string, unknown, unknown, number | null]>([
  [OME('SizeX="4" PhysicalSizeX="0.65" PhysicalSizeXUnit="µm"'), undefined, undefined, 0.65],
  [OME('PhysicalSizeX="0.65"'), undefined, undefined, 0.65],
  [OME('PhysicalSizeX="325" PhysicalSizeXUnit="nm"'), undefined, undefined, 0.325],
  [OME('PhysicalSizeX="2" PhysicalSizeXUnit="pixel"'), undefined, undefined, null],
  [OME('SizeX="4"'), [20000, 1], 3, null],
  ["ImageJ=1.54f\nunit=micron\n", [2, 1], 1, 0.5],
  ["ImageJ=1.54f\nunit=\\u00B5m\n", 4, 1, 0.25],
  ["ImageJ=1.54f\n", [2, 1], 1, null],
  ["ImageJ=1.54f\nunit=pixel\n", [1, 1], 1, null],
  ["", [20000, 1], 3, 0.5],
  ["", [72, 1], 2, null],
  ["", [20000, 1], 1, null],
  ["", [0, 0], 3, null],
  ["", undefined, undefined, null],
])("a pixel size is known only with its unit: %s %s %s", (description, resolution, unit, size) => {
  expect(micrometresOf(description, resolution, unit)).toBe(size);
});

test("images of one header that differ in pixel size have none", () => {
  const both = OME('PhysicalSizeX="0.65"/><Pixels PhysicalSizeX="0.5"');
  expect(micrometresOf(both, undefined, undefined)).toBeNull();
});
