import { expect, test } from "vitest";
import { decode } from "../src/stack/decode";
import { joinPlanes } from "../src/stack/join";
import type { Pixels, Plane } from "../src/stack/planes";
import { readStack } from "../src/stack/reading";
import { writeTiff } from "../src/stack/tiffWriter";

function planes(make: (values: number[]) => Pixels, count = 3): Plane[] {
  return Array.from({ length: count }, (_, channel) => ({
    pixels: make(Array.from({ length: 15 }, (_, index) => 7 * channel + index)),
    width: 5,
    height: 3,
  }));
}

test.each([
  ["uint8", (values: number[]) => Uint8Array.from(values)],
  ["uint16", (values: number[]) => Uint16Array.from(values, (value) => 1000 * value)],
  ["float32", (values: number[]) => Float32Array.from(values, (value) => value / 3 - 2)],
])("%s planes come back from the TIFF that is written of them", async (_, make) => {
  const written = planes(make);
  expect((await decode(await writeTiff(written).arrayBuffer())).planes).toEqual(written);
});

test("files that are not channels of one stack are refused by name", () => {
  const [plane] = planes((values) => Uint8Array.from(values), 1);
  const [other] = planes((values) => Uint16Array.from(values), 1);
  if (!plane || !other) throw new Error("no planes");
  expect(() =>
    joinPlanes([
      { name: "a", planes: [plane], objection: null },
      { name: "b", planes: [other], objection: null },
    ]),
  ).toThrow(/b is 3 × 5 uint16/);
  expect(() =>
    joinPlanes([
      { name: "a", planes: [plane, plane], objection: null },
      { name: "b", planes: [plane], objection: null },
    ]),
  ).toThrow(/a holds 2/);
});

test("a file a channel becomes one stack, and one TIFF of it", async () => {
  const channels = planes((values) => Uint16Array.from(values));
  const files = await Promise.all(
    channels.map(async (plane, index) => ({
      name: `w${index}`,
      content: await writeTiff([plane]).arrayBuffer(),
    })),
  );
  const done: number[] = [];
  const { shown, joined } = await readStack(files, (count, total) => done.push(count / total));
  expect(shown).toMatchObject({ width: 5, height: 3, dtype: "uint16", factor: 1, pixelUm: null });
  expect((await decode(await (joined as Blob).arrayBuffer())).planes).toEqual(channels);
  expect(done.at(-1)).toBe(1);
});
