import { parseColour } from "./colours";

/** Every sixteenth colour of maps whose lightness rises evenly, which colour-blind readers can follow (matplotlib, CC0). */
const ANCHORS = {
  inferno:
    "#000004 #0b0724 #210c4a #3d0965 #57106e #71196e #8a226a #a32c61 #bc3754 #d04545 #e35933 #f1711f #f98c0a #fcaa0f #f9c932 #f2e865 #fcffa4",
  viridis:
    "#440154 #48186a #472d7b #424086 #3b528b #33638d #2c728e #26828e #21918c #1f9f88 #27ad81 #3dbc74 #5cc863 #81d34d #aadc32 #d5e21a #fde725",
  cividis:
    "#00224e #002e6a #1a386f #32436d #434e6c #535a6d #61656f #6f7073 #7d7c78 #8b8778 #9a9376 #aaa073 #bbad6d #ccba64 #ddc858 #efd748 #fee838",
};

export type ColourMapName = keyof typeof ANCHORS;

/** The first is the one of the service's overlays. */
export const COLOUR_MAP_NAMES = Object.keys(ANCHORS) as ColourMapName[];

/** 256 colours from least to greatest, four bytes each. */
export function colourTable(name: ColourMapName): Uint8Array<ArrayBuffer> {
  const anchors = ANCHORS[name].split(" ").map(parseColour);
  const table = new Uint8Array(256 * 4);
  for (let index = 0; index < 256; index++) {
    const position = (index / 255) * (anchors.length - 1);
    const before = anchors[Math.floor(position)] ?? [0, 0, 0];
    const after = anchors[Math.ceil(position)] ?? before;
    const weight = position - Math.floor(position);
    before.forEach((value, channel) => {
      table[4 * index + channel] = Math.round(255 * (value + weight * ((after[channel] ?? 0) - value)));
    });
    table[4 * index + 3] = 255;
  }
  return table;
}
