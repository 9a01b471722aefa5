import { dtypeName, type Plane } from "./planes";

const NUM_ENTRIES = 10;
const HEADER_BYTES = 8;
const DIRECTORY_BYTES = 2 + NUM_ENTRIES * 12 + 4;
const [SHORT, LONG] = [3, 4];

/** Writes planes of one size and type as an uncompressed little-endian TIFF (revision 6), a page a plane. */
export function writeTiff(planes: Plane[]): Blob {
  const head = new DataView(new ArrayBuffer(HEADER_BYTES + planes.length * DIRECTORY_BYTES));
  head.setUint16(0, 0x4949, true);
  head.setUint16(2, 42, true);
  head.setUint32(4, HEADER_BYTES, true);
  let dataAt = head.byteLength;
  planes.forEach((plane, page) => {
    const at = HEADER_BYTES + page * DIRECTORY_BYTES;
    writeDirectory(head, at, plane, dataAt);
    head.setUint32(at + DIRECTORY_BYTES - 4, page + 1 < planes.length ? at + DIRECTORY_BYTES : 0, true);
    dataAt += plane.pixels.byteLength;
  });
  return new Blob([head.buffer, ...planes.map(({ pixels }) => pixels)], { type: "image/tiff" });
}

function writeDirectory(head: DataView, at: number, plane: Plane, dataAt: number): void {
  const isFloat = dtypeName(plane.pixels) === "float32";
  const entries: [tag: number, type: number, value: number][] = [
    [256, LONG, plane.width],
    [257, LONG, plane.height],
    [258, SHORT, 8 * plane.pixels.BYTES_PER_ELEMENT],
    [259, SHORT, 1], // not compressed
    [262, SHORT, 1], // black is zero
    [273, LONG, dataAt],
    [277, SHORT, 1],
    [278, LONG, plane.height], // one strip
    [279, LONG, plane.pixels.byteLength],
    [339, SHORT, isFloat ? 3 : 1],
  ];
  head.setUint16(at, NUM_ENTRIES, true);
  entries.forEach(([tag, type, value], index) => {
    const entryAt = at + 2 + index * 12;
    head.setUint16(entryAt, tag, true);
    head.setUint16(entryAt + 2, type, true);
    head.setUint32(entryAt + 4, 1, true);
    if (type === SHORT) head.setUint16(entryAt + 8, value, true);
    else head.setUint32(entryAt + 8, value, true);
  });
}
