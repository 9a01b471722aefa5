import { decodePlanes } from "./decode";
import { joinPlanes } from "./join";
import { dtypeName } from "./planes";
import { type Level, pyramid, reduction } from "./pyramid";
import { describe, type Statistics } from "./statistics";
import { writeTiff } from "./tiffWriter";

export interface Channel extends Statistics {
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
}

export interface ReadStack {
  shown: ShownStack;
  /** The stack as one TIFF, where it came as several files. */
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
  const decoded = [];
  for (const { name, content } of files) {
    decoded.push({ name, planes: await decodePlanes(content) });
    if (files.length > 1) onChannel(decoded.length, 2 * files.length);
  }
  const planes = decoded.length > 1 ? joinPlanes(decoded) : (decoded[0]?.planes ?? []);
  const [first] = planes;
  if (!first) throw new Error("No file was given.");
  const factor = reduction(first.width, first.height, planes.length);
  const channels = planes.map((plane, index) => {
    const statistics = describe(plane.pixels);
    const levels = pyramid(plane, statistics.min, statistics.max, factor);
    onChannel(planes.length + index + 1, 2 * planes.length);
    return { ...statistics, levels };
  });
  const { width, height, pixels } = first;
  return {
    shown: { channels, width, height, dtype: dtypeName(pixels), factor },
    joined: decoded.length > 1 ? writeTiff(planes) : null,
  };
}
