import { type Decoded, decode } from "./decode";
import { joinPlanes } from "./join";
import { dtypeName, type Pixels } from "./planes";
import { isPng } from "./png";
import { type Level, pyramid, reduction } from "./pyramid";
import { describe, type Statistics } from "./statistics";
import { writeTiff } from "./tiffWriter";
import { UnshowableError } from "./unshowable";

export interface Channel extends Statistics {
  /** Intensities as they are in the file, row by row. */
  pixels: Pixels;
  levels: Level[];
}

/** A stack ready to be shown. */
export interface ShownStack {
  channels: Channel[];
  /** Of the field, in its own pixels. */
  width: number;
  height: number;
  dtype: string;
  /** Pixels of the field along an axis that became one of the first level. */
  factor: number;
  /** Micrometres that a pixel of the field is wide; null where no file says so. */
  pixelUm: number | null;
}

export interface ReadStack {
  shown: ShownStack;
  /** The stack as one TIFF, where it came as several files or as a PNG. */
  joined: Blob | null;
}

export interface StackFile {
  name: string;
  content: ArrayBuffer;
}

/** Reads one stack from a file, or from a file a channel; tells how many channels are ready. */
export async function readStack(
  files: StackFile[],
  onChannel: (done: number, total: number) => void,
): Promise<ReadStack> {
  const decoded: ({ name: string } & Decoded)[] = [];
  for (const { name, content } of files) {
    decoded.push({ name, ...(await decodeNamed(name, content, files.length > 1)) });
    if (files.length > 1) onChannel(decoded.length, 2 * files.length);
  }
  const isJoined = files.length > 1 || files.some(({ content }) => isPng(content));
  const planes = isJoined ? joinPlanes(decoded) : (decoded[0]?.planes ?? []);
  const [first] = planes;
  if (!first) throw new Error("No file was given.");
  const factor = reduction(first.width, first.height, planes.length);
  const channels = planes.map((plane, index) => {
    const statistics = describe(plane.pixels);
    const levels = pyramid(plane, statistics.min, statistics.max, factor);
    onChannel(planes.length + index + 1, 2 * planes.length);
    return { ...statistics, pixels: plane.pixels, levels };
  });
  const { width, height, pixels } = first;
  return {
    shown: { channels, width, height, dtype: dtypeName(pixels), factor, pixelUm: sharedSize(decoded) },
    joined: isJoined ? writeTiff(planes) : null,
  };
}

/** Names the file in what is said of it, where it is one of several. */
async function decodeNamed(name: string, content: ArrayBuffer, isOneOfMany: boolean): Promise<Decoded> {
  try {
    return await decode(content);
  } catch (error) {
    if (!isOneOfMany) throw error;
    const reason =
      error instanceof UnshowableError ? error.message : `It cannot be decoded here (${String(error)}).`;
    throw new UnshowableError(`${name}: ${reason}`);
  }
}

/** The pixel size that all files state; none where one of them says another. */
function sharedSize(files: Decoded[]): number | null {
  const [first] = files;
  return first && files.every(({ pixelUm }) => pixelUm === first.pixelUm) ? first.pixelUm : null;
}
