export type Pixels = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** One channel of a field, row by row. */
export interface Plane {
  pixels: Pixels;
  width: number;
  height: number;
}

/** NumPy's name of the pixel type. */
export function dtypeName(pixels: Pixels): string {
  if (pixels instanceof Uint8Array) return "uint8";
  return pixels instanceof Uint16Array ? "uint16" : "float32";
}
