import { decompress } from "fzstd";
import { addDecoder, BaseDecoder, fromArrayBuffer, type GeoTIFFImage } from "geotiff";
import { inflate } from "./inflate";
import { onlyShowsIntensities } from "./lookupTable";
import { micrometresOf } from "./pixelSize";
import type { Pixels, Plane } from "./planes";
import { decodePng, isPng } from "./png";
import { UnshowableError } from "./unshowable";

const ZSTANDARD = 50000;
const DEFLATE = [8, 32946];
const [BLACK_IS_ZERO, PALETTE] = [1, 3];

/** What a file holds. */
export interface Decoded {
  planes: Plane[];
  /** Micrometres that a pixel is wide; null where the file does not say so. */
  pixelUm: number | null;
  /** Why its planes cannot be channels by themselves; null where they can. */
  objection: string | null;
}

// geotiff.js decodes Zstandard by WebAssembly that it loads from a data: address, which the page's policy forbids.
class ZstandardDecoder extends BaseDecoder {
  override decodeBlock(block: ArrayBufferLike): ArrayBufferLike {
    const { buffer, byteOffset, byteLength } = decompress(new Uint8Array(block));
    return buffer.slice(byteOffset, byteOffset + byteLength);
  }
}
addDecoder(ZSTANDARD, async () => ZstandardDecoder);

class DeflateDecoder extends BaseDecoder {
  override decodeBlock(block: ArrayBufferLike): Promise<ArrayBufferLike> {
    return inflate(new Uint8Array(block as ArrayBuffer));
  }
}
addDecoder(DEFLATE, async () => DeflateDecoder);

/** Decodes every channel of a TIFF (its pages, and the samples of each, as the service counts them), or of a PNG. */
export async function decode(content: ArrayBuffer): Promise<Decoded> {
  if (isPng(content)) return { planes: [await decodePng(content)], pixelUm: null, objection: null };
  if (!isTiff(content)) throw new UnshowableError("It is neither a TIFF nor a PNG.");
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
  return { planes, ...(await readHeader(await tiff.getImage(0))) };
}

function isTiff(content: ArrayBuffer): boolean {
  const [one = 0, two = 0, three = 0, four = 0] = new Uint8Array(content, 0, Math.min(4, content.byteLength));
  const isLittle = one === 0x49 && two === 0x49 && (three === 42 || three === 43) && four === 0;
  const isBig = one === 0x4d && two === 0x4d && three === 0 && (four === 42 || four === 43);
  return isLittle || isBig;
}

async function readHeader(image: GeoTIFFImage): Promise<Pick<Decoded, "pixelUm" | "objection">> {
  const tags = image.getFileDirectory();
  const value = async (name: Parameters<typeof tags.hasTag>[0]) =>
    tags.hasTag(name) ? ((await tags.loadValue(name as number)) as unknown) : undefined;
  const description = String((await value("ImageDescription")) ?? "");
  const photometric = (await value("PhotometricInterpretation")) ?? BLACK_IS_ZERO;
  const palette = photometric === PALETTE ? ((await value("ColorMap")) as ArrayLike<number>) : null;
  const isPlain = photometric === BLACK_IS_ZERO || (palette && onlyShowsIntensities(palette, description));
  return {
    pixelUm: micrometresOf(description, await value("XResolution"), await value("ResolutionUnit")),
    objection: isPlain
      ? null
      : `is a TIFF ${palette ? "of colours from a palette" : `of photometric interpretation ${photometric}`}. ` +
        "Expected greyscale in which larger is brighter (1): convert the file.",
  };
}

function asPixels(samples: ArrayLike<number>): Pixels {
  if (samples instanceof Uint8Array || samples instanceof Uint16Array || samples instanceof Float32Array) {
    return samples as Pixels;
  }
  throw new UnshowableError("Its pixels are not uint8, uint16 or float32.");
}
