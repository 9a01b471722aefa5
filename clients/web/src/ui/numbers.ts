/** A probability with as many digits as can be told apart in a table. */
export function probability(value: number): string {
  return value.toFixed(3);
}

/** A number of any size, to three digits. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(3)));
}

/** A signed number, with a minus as wide as the plus. */
export function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${short(Math.abs(value))}`;
}

/** An intensity: whole where the pixels are. */
export function intensity(value: number, isFloat: boolean): string {
  return isFloat ? short(value) : String(Math.round(value));
}

export function fileSize(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** What is said of an attribution under way, and the share of the bar; no share once the estimate is passed. */
export function attributionProgress(
  elapsedS: number,
  expectedS: number | null,
): { text: string; share: number | null } {
  const elapsed = `${Math.floor(elapsedS)} s`;
  if (expectedS === null) return { text: elapsed, share: null };
  const expected = `${Math.max(1, Math.ceil(expectedS))} s`;
  if (elapsedS >= expectedS) return { text: `${elapsed}, longer than the ${expected} expected`, share: null };
  return { text: `${elapsed} of at most ${expected} on an idle service`, share: elapsedS / expectedS };
}
