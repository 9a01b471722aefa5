/** Which stain of the bundle a channel's name means, by the rules of the service and the Python client. */

/** Dyes written out, and the stain that they are (Bray et al. 2016, table 1, for the Cell Painting assay). */
const DYES: [RegExp, string][] = [
  [/^hoechst (33342|33258)$/, "hoechst"],
  [/^(con a|concanavalin a)$/, "cona"],
  [/^wheat germ agglutinin$/, "wga"],
  [/^syto 14( green)?( fluorescent)?( nucleic acid)?$/, "syto14"],
  [/^mito ?tracker( (deep red|far red|red|green|orange))?( (cm xros|cmxros|cmtmros|fm))?$/, "mitotracker"],
];

/** What a dye may be coupled to, and words that say no more than that it is. */
const LABELS =
  /\b(alexa( fluor)?|af|atto|cf|cy|dylight|bodipy)( \d+)+\b|\b(fitc|tritc|rhodamine|texas red( x)?|conjugated?|conj|stain|dye)\b/g;

/** The stain of every channel where each name means one and no two the same; null otherwise. */
export function matchStains(names: readonly string[], stains: readonly string[]): string[] | null {
  const meant = names.map((name) => stainOf(name, stains)).filter((stain) => stain !== null);
  const isWhole = meant.length === names.length && names.length === stains.length;
  return isWhole && new Set(meant).size === stains.length ? meant : null;
}

/** The stain that a name means at the first level where any does; null where none or several do. */
function stainOf(name: string, stains: readonly string[]): string | null {
  for (const level of [(text: string) => text, squeezed, dye]) {
    const key = level(name);
    const [found, ...others] = key ? stains.filter((stain) => level(stain) === key) : [];
    if (found !== undefined) return others.length > 0 ? null : found;
  }
  return null;
}

function folded(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

function squeezed(name: string): string {
  return folded(name).replaceAll(/[^\p{L}\p{N}]/gu, "");
}

function dye(name: string): string {
  const words = folded(name.replaceAll(/[™℠]/g, " ")).match(/\d+|\p{L}+/gu) ?? [];
  const bare = words.join(" ").replaceAll(LABELS, " ").trim().replaceAll(/ +/g, " ");
  return DYES.find(([pattern]) => pattern.test(bare))?.[1] ?? squeezed(bare);
}
