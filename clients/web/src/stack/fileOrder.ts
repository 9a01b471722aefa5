import { matchStains } from "./stainNames";

/** Words before a number that say that it counts channels; none where it stands alone. `c` may be the row of a well. */
const OF_CHANNELS = new Set(["", "w", "ch", "chan", "channel"]);

/** How names of images end. */
export const IMAGE_ENDING = /\.((ome\.)?tiff?|png)$/i;

/** What ImageXpress adds to each name. */
const IDENTIFIER = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;

/** Which channel each of several files is, and how that was told. */
export interface FileOrder {
  /** Places of the files, channel by channel. */
  places: number[];
  /** The stain of each channel where the names tell it. */
  stains: string[] | null;
  from: "file names" | "file numbers" | "nothing";
}

/** Reads the names of files that hold a channel each: by stain, else by number where one counts the channels. */
export function orderOf(names: readonly string[], stains: readonly string[]): FileOrder {
  const stems = names.map((name) => name.replace(IMAGE_ENDING, "").replace(IDENTIFIER, ""));
  const places = names.map((_, place) => place);
  const told = matchStains(stems, stains) ?? matchStains(tellingParts(stems), stains);
  if (told) return { places, stains: told, from: "file names" };
  const numbers = channelNumbers(stems);
  if (numbers) {
    places.sort((a, b) => (numbers[a] ?? 0) - (numbers[b] ?? 0));
    return { places, stains: null, from: "file numbers" };
  }
  const inNameOrder = new Intl.Collator("en", { numeric: true });
  places.sort((a, b) => inNameOrder.compare(names[a] ?? "", names[b] ?? ""));
  return { places, stains: null, from: "nothing" };
}

/** Names without the words with which all begin and all end. */
function tellingParts(names: readonly string[]): string[] {
  const words = names.map((name) => name.match(/[\p{L}\p{N}]+/gu) ?? []);
  const shared = numShared(words);
  const tails = words.map((each) => each.slice(shared).reverse());
  const trailing = numShared(tails);
  return tails.map((tail) => tail.slice(trailing).reverse().join(" "));
}

function numShared(lists: readonly (readonly string[])[]): number {
  const [first = []] = lists;
  const end = first.findIndex((word, index) => lists.some((list) => list[index] !== word));
  return end < 0 ? first.length : end;
}

/** The number in which alone the names differ; null where they differ otherwise, or it counts something else. */
function channelNumbers(stems: readonly string[]): number[] | null {
  const split = stems.map((stem) => stem.split(/(\d+)/));
  const [first = []] = split;
  const differing = first.flatMap((_, at) => (split.some((parts) => parts[at] !== first[at]) ? [at] : []));
  const [at, ...others] = differing;
  const isOne = at !== undefined && at % 2 === 1 && others.length === 0;
  if (!isOne || split.some((parts) => parts.length !== first.length)) return null;
  const before = /(?:^|[^\p{L}])(\p{L}*)[ _-]?$/u.exec(first[at - 1] ?? "")?.[1] ?? "";
  if (!OF_CHANNELS.has(before.toLowerCase())) return null;
  const numbers = split.map((parts) => Number(parts[at]));
  return new Set(numbers).size === numbers.length ? numbers : null;
}
