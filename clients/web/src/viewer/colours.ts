export type Colour = [red: number, green: number, blue: number];

/** Colours of the stains in order, then from the start again: those of the service's overlays. */
const STAIN_COLOURS = [
  "#56b4e9",
  "#cc79a7",
  "#009e73",
  "#e69f00",
  "#d55e00",
  "#0072b2",
  "#f0e442",
  "#a0a0a0",
  "#882255",
  "#44aa99",
  "#999933",
  "#8882de",
];

export function stainColour(index: number): string {
  return STAIN_COLOURS[index % STAIN_COLOURS.length] ?? "#a0a0a0";
}

/** Red, green and blue from 0 to 1 of `#rrggbb`. */
export function parseColour(hex: string): Colour {
  const number = Number.parseInt(hex.slice(1), 16);
  return [((number >> 16) & 255) / 255, ((number >> 8) & 255) / 255, (number & 255) / 255];
}
