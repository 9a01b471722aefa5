import { inflate } from "./inflate";
import type { Pixels, Plane } from "./planes";
import { UnshowableError } from "./unshowable";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const GREY = 0;
const COLOUR_TYPES: Record<number, string> = {
  2: "red, green and blue",
  3: "a palette",
  4: "grey and opacity",
  6: "colours and opacity",
};
const EXPECTED = "Expected one channel of 8 or 16 bits: export it as greyscale";
/** More pixels than these are not one channel of a field that a browser can hold. */
const MAX_PIXELS = 2 ** 28;

export function isPng(content: ArrayBuffer): boolean {
  const head = new Uint8Array(content, 0, Math.min(SIGNATURE.length, content.byteLength));
  return SIGNATURE.every((byte, index) => head[index] === byte);
}

/**
 * Decodes a greyscale PNG of 8 or 16 bits (W3C PNG, third edition). A browser's own decoder gives 8 bits.
 *
 * @throws UnshowableError Where it holds anything but one channel, or is damaged.
 */
export async function decodePng(content: ArrayBuffer): Promise<Plane> {
  const { header, compressed } = chunksOf(content);
  const { width, height, bits } = readHeader(header);
  const rowBytes = (width * bits) / 8;
  const inflated = new Uint8Array(await inflate(compressed));
  if (inflated.length !== height * (rowBytes + 1)) {
    throw new UnshowableError(
      `It holds ${inflated.length} bytes of pixels where its header says ${height * (rowBytes + 1)}: restore the file.`,
    );
  }
  const bytes = unfiltered(inflated, rowBytes, height, bits / 8);
  return { pixels: bits === 8 ? bytes : wide(bytes), width, height };
}

/** The header and the pixels' parts, joined; transparency is refused, as opacity is no stain. */
function chunksOf(content: ArrayBuffer): { header: DataView; compressed: Uint8Array<ArrayBuffer> } {
  const view = new DataView(content);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let [header, isWhole]: [DataView | null, boolean] = [null, false];
  for (let at = SIGNATURE.length; at + 12 <= content.byteLength && !isWhole; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > content.byteLength) break;
    const kind = String.fromCharCode(...new Uint8Array(content, at + 4, 4));
    if (kind === "IHDR") header = new DataView(content, at + 8, length);
    if (kind === "IDAT") parts.push(new Uint8Array(content, at + 8, length));
    if (kind === "tRNS")
      throw new UnshowableError(`It is a PNG with transparency. ${EXPECTED}, without transparency.`);
    isWhole = kind === "IEND";
    at += 12 + length;
  }
  if (header?.byteLength !== 13 || !isWhole) {
    throw new UnshowableError("It is a PNG that is cut short: restore the file.");
  }
  return { header, compressed: joined(parts) };
}

function joined(parts: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function readHeader(header: DataView): { width: number; height: number; bits: number } {
  const [width, height, bits] = [header.getUint32(0), header.getUint32(4), header.getUint8(8)];
  const [colourType, interlacing] = [header.getUint8(9), header.getUint8(12)];
  if (colourType !== GREY) {
    throw new UnshowableError(
      `It is a PNG of ${COLOUR_TYPES[colourType] ?? "an unknown kind"}. ${EXPECTED}.`,
    );
  }
  if (bits !== 8 && bits !== 16)
    throw new UnshowableError(`It is a PNG of ${bits} bits a pixel. ${EXPECTED}.`);
  if (interlacing !== 0)
    throw new UnshowableError("It is an interlaced PNG. Expected one that is not: export it again.");
  if (width === 0 || height === 0 || width * height > MAX_PIXELS) {
    throw new UnshowableError(
      `It is a PNG of ${height} × ${width} pixels. Expected at most ${MAX_PIXELS} in all.`,
    );
  }
  return { width, height, bits };
}

/** Undoes the filter of each row, which tells every byte by its difference to neighbours (PNG, section 9). */
function unfiltered(
  filtered: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  height: number,
  pixelBytes: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(rowBytes * height);
  for (let row = 0; row < height; row++) {
    const [from, to] = [row * (rowBytes + 1) + 1, row * rowBytes];
    const filter = filtered[from - 1] ?? 0;
    if (filter > 4) throw new UnshowableError("Its rows are filtered in an unknown way: restore the file.");
    for (let index = 0; index < rowBytes; index++) {
      const left = index < pixelBytes ? 0 : (bytes[to + index - pixelBytes] ?? 0);
      const above = row === 0 ? 0 : (bytes[to + index - rowBytes] ?? 0);
      const corner = row === 0 || index < pixelBytes ? 0 : (bytes[to + index - rowBytes - pixelBytes] ?? 0);
      bytes[to + index] = (filtered[from + index] ?? 0) + predicted(filter, left, above, corner);
    }
  }
  return bytes;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const [toLeft, toAbove] = [Math.abs(above - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** Numbers of 16 bits, whose greater byte comes first in the file. */
function wide(bytes: Uint8Array<ArrayBuffer>): Pixels {
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index));
}
