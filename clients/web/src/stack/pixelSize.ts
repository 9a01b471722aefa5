import { IMAGEJ } from "./lookupTable";

/** Micrometres in one of a unit, as OME-XML and ImageJ write it. */
const UNITS = new Map([
  ["nm", 1e-3],
  ["nanometer", 1e-3],
  ["um", 1],
  ["\u00b5m", 1],
  ["\u03bcm", 1],
  ["micron", 1],
  ["microns", 1],
  ["micrometer", 1],
  ["mm", 1e3],
  ["millimeter", 1e3],
  ["cm", 1e4],
]);

/** Of the TIFF tag ResolutionUnit: inch and centimetre. */
const UNITS_OF_TIFF = new Map<unknown, number>([
  [2, 25_400],
  [3, 10_000],
]);

/** A resolution without a microscope's header tells of paper or a screen where its pixels are wider than these. */
const WIDEST_PLAIN_UM = 10;

/** Micrometres that a pixel is wide, where a TIFF says so with a unit; null otherwise. */
export function micrometresOf(description: string, resolution: unknown, unit: unknown): number | null {
  if (/<(\w+:)?OME[\s>/]/.test(description)) return ofOme(description);
  const pixelsPerUnit = numberOf(resolution);
  if (IMAGEJ.test(description)) {
    const name = /^unit=(.*)$/m.exec(description)?.[1]?.trim();
    return positive((micrometresIn(name) ?? Number.NaN) / pixelsPerUnit);
  }
  const size = positive((UNITS_OF_TIFF.get(unit) ?? Number.NaN) / pixelsPerUnit);
  return size !== null && size <= WIDEST_PLAIN_UM ? size : null;
}

/** The size that all images of a header state; null where they differ. */
function ofOme(description: string): number | null {
  const sizes = [...description.matchAll(/<(?:\w+:)?Pixels\s[^>]*>/g)].map(([tag]) => {
    const size = Number(/\sPhysicalSizeX\s*=\s*["']([^"']+)["']/.exec(tag)?.[1] ?? Number.NaN);
    const unit = /\sPhysicalSizeXUnit\s*=\s*["']([^"']+)["']/.exec(tag)?.[1] ?? "um"; // OME's default
    return positive(size * (micrometresIn(unit) ?? Number.NaN));
  });
  const [first = null] = sizes;
  return sizes.every((size) => size === first) ? first : null;
}

/** ImageJ writes the micro sign as an escape. */
function micrometresIn(unit: string | undefined): number | undefined {
  return UNITS.get((unit ?? "").replace(/\\u00[bB]5/, "\u00b5").replace("&#181;", "\u00b5"));
}

/** A rational comes as its two parts. */
function numberOf(resolution: unknown): number {
  if (typeof resolution === "number") return resolution;
  const [numerator = Number.NaN, denominator = 1] = (resolution ?? []) as ArrayLike<number> &
    Iterable<number>;
  return numerator / denominator;
}

function positive(value: number): number | null {
  return Number.isFinite(value) && value > 0 ? value : null;
}
