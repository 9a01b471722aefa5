/** Of the width that is shown, at most. */
const LONGEST = 0.3;

/** The longest bar of 1, 2 or 5 times a power of ten that fits, given the micrometres that are shown across. */
export function scaleBar(shownUm: number): { label: string; share: number } {
  const most = LONGEST * shownUm;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = power * (most >= 5 * power ? 5 : most >= 2 * power ? 2 : 1);
  const [value, unit] =
    length >= 1000 ? [length / 1000, "mm"] : length < 1 ? [length * 1000, "nm"] : [length, "µm"];
  return { label: `${Number(value.toPrecision(1))} ${unit}`, share: length / shownUm };
}
