import { decompress } from "fzstd";
import { addDecoder, BaseDecoder, fromArrayBuffer } from "geotiff";
import type { Pixels, Plane } from "./planes";
import { UnshowableError } from "./unshowable";

const ZSTANDARD = 50000;

// geotiff.js decodes Zstandard by WebAssembly that it loads from a data: address, which the page's policy forbids.
class ZstandardDecoder extends BaseDecoder {
  override decodeBlock(block: ArrayBufferLike): ArrayBufferLike {
    const { buffer, byteOffset, byteLength } = decompress(new Uint8Array(block));
    return buffer.slice(byteOffset, byteOffset + byteLength);
  }
}
addDecoder(ZSTANDARD, async () => ZstandardDecoder);

/** Decodes every channel of a TIFF: its pages, and the samples of each, as the service counts them. */
export async function decodePlanes(content: ArrayBuffer): Promise<Plane[]> {
  const tiff = await fromArrayBuffer(content);
  const planes: Plane[] = [];
  for (let page = 0; page < (await tiff.getImageCount()); page++) {
    const image = await tiff.getImage(page);
    const [width, height] = [image.getWidth(), image.getHeight()];
    for (const samples of (await image.readRasters({
      interleave: false,
    })) as unknown as ArrayLike<number>[]) {
      planes.push({ pixels: asPixels(samples), width, height });
    }
  }
  const [first] = planes;
  if (!first) throw new UnshowableError("The file holds no image.");
  if (planes.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw new UnshowableError("Its pages are of different sizes.");
  }
  return planes;
}

function asPixels(samples: ArrayLike<number>): Pixels {
  if (samples instanceof Uint8Array || samples instanceof Uint16Array || samples instanceof Float32Array) {
    return samples as Pixels;
  }
  throw new UnshowableError("Its pixels are not uint8, uint16 or float32.");
}
