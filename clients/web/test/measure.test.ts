import { expect, test } from "vitest";
import { stages } from "../src/service/request";
import { pyramid } from "../src/stack/pyramid";
import { describe as statisticsOf, together } from "../src/stack/statistics";
import { attributionProgress } from "../src/ui/numbers";
import { channelsOf, intensitiesAt, type Site } from "../src/ui/site";
import { scaleBar } from "../src/viewer/scaleBar";
import { moved, WHOLE_FIELD, windowOf, zoomedAt } from "../src/viewer/view";

test.each([
  [100, "20 µm"],
  [170, "50 µm"],
  [334, "100 µm"],
  [1, "200 nm"],
  [20_000, "5 mm"],
])("over %f µm the bar is %s, between an eighth and three tenths of the width", (shownUm, label) => {
  const bar = scaleBar(shownUm);
  expect(bar.label).toBe(label);
  expect(bar.share).toBeGreaterThan(0.12 - 1e-9);
  expect(bar.share).toBeLessThanOrEqual(0.3);
});

test("the cross moves by a hundredth of what is shown, at least by a pixel, and never leaves it", () => {
  const fine = { x: 1 / 1000, y: 1 / 1000 };
  expect(moved(null, WHOLE_FIELD, 1, 0, fine)).toEqual({ x: 0.51, y: 0.5 });
  expect(moved(null, WHOLE_FIELD, 0, -1, { x: 0.1, y: 0.1 })).toEqual({ x: 0.5, y: 0.4 });
  const view = zoomedAt(WHOLE_FIELD, 4, 0, 0);
  const { left, width } = windowOf(view);
  expect(moved({ x: 0.9, y: 0.1 }, view, 1, 0, fine).x).toBeCloseTo(left + width);
});

test("two channels have one contrast: from the lower limit to the higher, over the pixels of both", () => {
  const [one, other] = [Uint8Array.of(0, 10, 20, 30), Uint8Array.of(40, 50, 60, 64)].map((pixels) => ({
    pixels,
    ...statisticsOf(pixels),
  }));
  if (!one || !other) throw new Error("no channels");
  const both = together(one, other);
  expect([both.min, both.max]).toEqual([0, 64]);
  expect(both.limits).toEqual([one.limits[0], other.limits[1]]);
  expect(both.histogram.reduce((sum, count) => sum + count)).toBe(8);
  expect(both.histogram[40]).toBe(1);
});

test("intensities are those of the file, by the names of the channels", () => {
  const planes = [Uint16Array.of(1, 2, 3, 65535), Uint16Array.of(5, 6, 7, 8)];
  const site: Site = {
    name: "a.tif",
    shown: {
      channels: planes.map((pixels) => ({
        pixels,
        ...statisticsOf(pixels),
        levels: pyramid({ pixels, width: 2, height: 2 }, 0, 1, 1),
      })),
      width: 2,
      height: 2,
      dtype: "uint16",
      factor: 1,
      pixelUm: null,
    },
    stains: ["DNA", "RNA"],
    prediction: null,
    explanations: null,
  };
  expect(intensitiesAt(site, { x: 0.5, y: 0.5 })).toBe("x 1, y 1: DNA 65535 · RNA 8");
  expect(intensitiesAt(site, { x: 1, y: 0 })).toBe("x 1, y 0: DNA 2 · RNA 6");
  expect(channelsOf(site, ["RNA", "ER", "DNA"])).toEqual([1, -1, 0]);
});

test("an attribution tells a share as long as the estimate holds, and none beyond", () => {
  expect(attributionProgress(2, 8)).toEqual({ text: "2 s of at most 8 s on an idle service", share: 0.25 });
  expect(attributionProgress(9, 8)).toEqual({ text: "9 s, longer than the 8 s expected", share: null });
  expect(attributionProgress(9, null)).toEqual({ text: "9 s", share: null });
});

test("the stages of a Server-Timing header are read, and nothing of a stranger's", () => {
  expect([...stages("decode;dur=1.50, queue;dur=0.00, inference;dur=42")]).toEqual([
    ["decode", 1.5],
    ["queue", 0],
    ["inference", 42],
  ]);
  expect(stages("cdn-cache; desc=HIT").size).toBe(0);
});
