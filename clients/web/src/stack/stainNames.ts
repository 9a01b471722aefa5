/** Which stain of the bundle a channel's name means, by the rules of the service and the Python client. */

/** Dyes and fluorophores as they are written out, and the one word that stands for each. */
const SHORT: [RegExp, string][] = [
  [/\bconcanavalin a\b|\bcon a\b/g, "cona"],
  [/\bwheat germ agglutinin\b/g, "wga"],
  [/\bsyto (?=\d)/g, "syto"],
  [/\bmito tracker\b/g, "mitotracker"],
  [/\btexas red( x)?\b/g, "texasred"],
  [/\bcm xros\b/g, "cmxros"],
  [/\balexa( fluor)?( plus)? (?=\d)/g, "af "],
  [/(?<=\d) (?=\d)/g, ""],
  [/\b(af|atto|bodipy|cf|cy|dylight|ifluor) (?=\d)/g, "$1"],
];

/** Words that tell no dye from another. */
const NOISE = /^(acid|conj|conjugated?|dye|fluorescent|labell?ed|nucleic|stain)$/;

/** Words that tell by what a dye is seen, not what it marks. */
const FLUOROPHORE =
  /^((af|atto|bodipy|cf|cy|dylight|ifluor)\d+|cmtmros|cmxros|fitc|fm|rhodamine|texasred|tritc)$/;

/** Words by which members of one family of dyes differ, by the family. */
const VARIANTS = new Map<string | undefined, RegExp>([
  ["hoechst", /^\d{5}$/],
  ["mitotracker", /^(deep|far|red|orange|green)$/],
  ["syto14", /^green$/],
]);

/** A name as a dye: its family, what tells it from others of it, and the fluorophore it carries. */
interface Dye {
  family: string;
  variant: string;
  fluorophore: string;
}

/** The stain of every channel where each name means one and no two the same; null otherwise. */
export function matchStains(names: readonly string[], stains: readonly string[]): string[] | null {
  const meant = names.map((name) => stainOf(name, stains)).filter((stain) => stain !== null);
  const isWhole = meant.length === names.length && names.length === stains.length;
  return isWhole && new Set(meant).size === stains.length ? meant : null;
}

/** The stain that a name means at the first level where any does; null where none or several do. */
function stainOf(name: string, stains: readonly string[]): string | null {
  if (stains.includes(name)) return name;
  const bare = squeezed(name);
  if (!bare) return null;
  const alike = stains.filter((stain) => squeezed(stain) === bare);
  const own = dye(name);
  const found = alike.length > 0 || !own.family ? alike : stains.filter((stain) => isSame(own, dye(stain)));
  return found.length === 1 ? (found[0] ?? null) : null;
}

/** Whether two names mean one dye: what one of them leaves out, the other may say. */
function isSame(one: Dye, other: Dye): boolean {
  const agree = (mine: string, theirs: string) => !mine || !theirs || mine === theirs;
  return (
    one.family === other.family &&
    agree(one.variant, other.variant) &&
    agree(one.fluorophore, other.fluorophore)
  );
}

function folded(name: string): string {
  return name
    .replaceAll(/[™®©℠]/g, " ")
    .normalize("NFKC")
    .toLowerCase();
}

function squeezed(name: string): string {
  return folded(name).replaceAll(/[^\p{L}\p{N}]/gu, "");
}

function dye(name: string): Dye {
  const text = (folded(name).match(/\p{Decimal_Number}+|\p{L}+/gu) ?? []).join(" ");
  const short = SHORT.reduce((done, [writtenOut, word]) => done.replaceAll(writtenOut, word), text);
  const words = short.split(" ").filter((word) => word && !NOISE.test(word));
  const fluorophores = words.filter((word) => FLUOROPHORE.test(word));
  const [first, ...others] = words.filter((word) => !FLUOROPHORE.test(word));
  const variants = others.filter((word) => VARIANTS.get(first)?.test(word));
  const family = [first, ...others].filter((word) => word && !variants.includes(word)).join("");
  if (!family) return { family: fluorophores.join(""), variant: "", fluorophore: "" };
  return { family, variant: variants.join(""), fluorophore: fluorophores.join("") };
}
