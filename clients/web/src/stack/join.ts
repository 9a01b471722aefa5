import type { Decoded } from "./decode";
import { dtypeName, type Plane } from "./planes";
import { UnshowableError } from "./unshowable";

/** Joins the channels of several files; each must hold one channel, all of one size and type. */
export function joinPlanes(files: ({ name: string } & Pick<Decoded, "planes" | "objection">)[]): Plane[] {
  const planes = files.map(({ name, planes: [plane, ...others], objection }) => {
    if (!plane || others.length > 0) {
      throw new UnshowableError(
        `Several files are one stack where each holds one channel; ${name} holds ${others.length + 1}. ` +
          "Send one stack at a time.",
      );
    }
    if (objection) throw new UnshowableError(`${name} ${objection}`);
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
