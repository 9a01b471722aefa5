/** How ImageJ's header begins, and those of programs that write the like. */
export const IMAGEJ = /^[\s\ufeff]*((ImageJ|SCIFIO)=|images=\d)/m;

/** One level of 8 bits in a palette of 16; some programs write 256. */
const LEVEL = 257;
/** Of the brightest colour of a ramp. */
const DARKEST = 64 * LEVEL;

/**
 * Whether a TIFF's palette is a lookup table that intensities are shown in, and no colours of an image.
 *
 * It runs from black to one colour in even steps, or ImageJ's header says that the planes are channels.
 * `tests/cases/palettes.json` holds this, the service's reader and the Python client to the same cases.
 */
export function onlyShowsIntensities(palette: ArrayLike<number>, header: string): boolean {
  if (palette.length !== 3 * 256) return false;
  if (IMAGEJ.test(header) && /^mode=(color|composite|grayscale)\s*$/m.test(header)) return true;
  const colours = [0, 1, 2].map((colour) =>
    Array.from({ length: 256 }, (_, index) => palette[256 * colour + index] ?? 0),
  );
  const isEven = colours.every((levels) =>
    levels.every((level, index) => Math.abs(level - ((levels[255] ?? 0) * index) / 255) <= LEVEL),
  );
  return isEven && Math.max(...colours.map((levels) => levels[255] ?? 0)) >= DARKEST;
}
