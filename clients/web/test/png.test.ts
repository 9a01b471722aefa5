import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { decode } from "../src/stack/decode";
import { readStack } from "../src/stack/reading";

interface Kind {
  width: number;
  bits?: number;
  colourType?: number;
  interlacing?: number;
  chunks?: [string, Uint8Array][];
}

/** A PNG of rows of bytes, filtered with the filters 0 to 4 in turn. */
function pngOf(rows: number[][], { width, bits = 8, colourType = 0, interlacing = 0, chunks = [] }: Kind) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, rows.length);
  [bits, colourType, 0, 0, interlacing].forEach((byte, index) => {
    header.setUint8(8 + index, byte);
  });
  const filtered = rows.flatMap((row, y) => [
    y % 5,
    ...row.map((byte, x) => {
      const [left, above] = [row[x - bits / 8] ?? 0, rows[y - 1]?.[x] ?? 0];
      const corner = rows[y - 1]?.[x - bits / 8] ?? 0;
      return (byte - ([0, left, above, (left + above) >> 1, nearest(left, above, corner)][y % 5] ?? 0)) & 255;
    }),
  ]);
  const parts: [string, Uint8Array][] = [
    ["IHDR", new Uint8Array(header.buffer)],
    ...chunks,
    ["IDAT", deflateSync(Uint8Array.from(filtered))],
    ["IEND", new Uint8Array(0)],
  ];
  const bytes = parts.flatMap(([kind, data]) => [
    ...big(data.length),
    ...[...kind].map((letter) => letter.charCodeAt(0)),
    ...data,
    ...big(0),
  ]);
  return Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, ...bytes]).buffer;
}

function big(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >> shift) & 255);
}

/** The nearest of the three to left + above - corner, as the specification puts it. */
function nearest(left: number, above: number, corner: number): number {
  const estimate = left + above - corner;
  const nearness = (value: number) => Math.abs(estimate - value);
  return [left, above, corner].sort((a, b) => nearness(a) - nearness(b))[0] ?? 0;
}

const ROWS = Array.from({ length: 7 }, (_, y) =>
  Array.from({ length: 6 }, (_, x) => (97 * y * x + 31 * x) & 255),
);

test("every filter of a greyscale PNG is undone, at 8 and at 16 bits", async () => {
  const [eight] = (await decode(pngOf(ROWS, { width: 6 }))).planes;
  expect(eight).toEqual({ pixels: Uint8Array.from(ROWS.flat()), width: 6, height: 7 });
  const [sixteen] = (await decode(pngOf(ROWS, { width: 3, bits: 16 }))).planes;
  const expected = ROWS.flatMap((row) => [0, 2, 4].map((x) => 256 * (row[x] ?? 0) + (row[x + 1] ?? 0)));
  expect(sixteen).toEqual({ pixels: Uint16Array.from(expected), width: 3, height: 7 });
});

test.each<[string, ArrayBuffer, RegExp]>([
  ["colours", pngOf([[1, 2, 3]], { width: 1, colourType: 2 }), /red, green and blue\. Expected one channel/],
  ["a palette", pngOf([[1]], { width: 1, colourType: 3 }), /of a palette/],
  ["opacity", pngOf([[1, 255]], { width: 1, colourType: 4 }), /grey and opacity/],
  ["a transparent grey", pngOf([[1]], { width: 1, chunks: [["tRNS", Uint8Array.of(0, 1)]] }), /transparency/],
  ["4 bits", pngOf([[1]], { width: 2, bits: 4 }), /4 bits a pixel/],
  ["an interlaced picture", pngOf([[1]], { width: 1, interlacing: 1 }), /interlaced/],
  ["too few pixels", pngOf([[1, 2]], { width: 3 }), /holds 3 bytes of pixels where its header says 4/],
  ["half a file", pngOf(ROWS, { width: 6 }).slice(0, 60), /cut short/],
  ["text", new TextEncoder().encode("no picture").buffer, /neither a TIFF nor a PNG/],
  ["nothing", new ArrayBuffer(0), /neither a TIFF nor a PNG/],
])("%s is refused with what was found", async (_, content, words) => {
  await expect(decode(content)).rejects.toThrow(words);
});

test("PNGs of a channel each become one stack, and the odd one is named", async () => {
  const files = [8, 8].map((bits, index) => ({
    name: `w${index}.png`,
    content: pngOf(ROWS, { width: 6, bits }),
  }));
  const { shown, joined } = await readStack(files, () => {});
  expect([shown.channels.length, shown.dtype]).toEqual([2, "uint8"]);
  const again = await decode(await (joined as Blob).arrayBuffer());
  expect(again.planes.map(({ pixels }) => [...pixels])).toEqual([ROWS.flat(), ROWS.flat()]);
  const odd = { name: "w2.png", content: pngOf(ROWS, { width: 3, bits: 16 }) };
  await expect(readStack([...files, odd], () => {})).rejects.toThrow(
    "w0.png is 7 × 6 uint8 and w2.png is 7 × 3 uint16",
  );
  const broken = { name: "w3.png", content: pngOf(ROWS, { width: 6 }).slice(0, 50) };
  await expect(readStack([...files, broken], () => {})).rejects.toThrow(/^w3\.png: .*cut short/);
});
