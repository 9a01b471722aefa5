import { dtypeName, type Plane } from "./planes";
import { UnshowableError } from "./unshowable";

/** Files in the order of their names, numbers in them by value: `w2` before `w10`. */
export function inNameOrder<File extends { name: string }>(files: readonly File[]): File[] {
  const order = new Intl.Collator("en", { numeric: true });
  return [...files].sort((a, b) => order.compare(a.name, b.name));
}

/** Joins the channels of several files; each must hold one channel, all of one size and type. */
export function joinPlanes(files: { name: string; planes: Plane[] }[]): Plane[] {
  const planes = files.map(({ name, planes: [plane, ...others] }) => {
    if (!plane || others.length > 0) {
      throw new UnshowableError(
        `Several files are one stack where each holds one channel; ${name} holds ${others.length + 1}. ` +
          "Send one stack at a time.",
      );
    }
    return { name, plane };
  });
  const [first] = planes;
  const odd = planes.find(({ plane }) => first && kind(plane) !== kind(first.plane));
  if (first && odd) {
    throw new UnshowableError(
      `The channels of one stack are of one size and type; ${first.name} is ${kind(first.plane)} and ` +
        `${odd.name} is ${kind(odd.plane)}.`,
    );
  }
  return planes.map(({ plane }) => plane);
}

function kind({ pixels, width, height }: Plane): string {
  return `${height} × ${width} ${dtypeName(pixels)}`;
}
