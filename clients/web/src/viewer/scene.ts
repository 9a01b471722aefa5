import type { Heatmap } from "../service/types";
import type { ShownStack } from "../stack/reading";
import { type ColourMapName, colourTable } from "./colourMaps";
import { Painter, type Panel } from "./painter";
import { type Place, shelves } from "./shelves";
import type { Window } from "./view";

/** What of one panel is drawn: all but its place. */
export type Picture = Omit<Panel, "place">;

const MAX_PIXEL_RATIO = 2;

/** One stack on its canvases: the composite's first, then one for each stain. */
export class Scene {
  readonly panels: HTMLCanvasElement[] = [];
  stack: ShownStack | null = null;
  /** The channel of the stack that shows each stain; -1 where none does. */
  channels: number[] = [];

  private painter = new Painter();
  private heatmap: { map: Heatmap; top: number } | null = null;
  private colourMap: ColourMapName = "inferno";

  constructor(private readonly repaint: () => void) {
    this.listenToLoss();
  }

  setStack(stack: ShownStack, panels: HTMLCanvasElement[], channels: number[]): void {
    this.panels.splice(0, this.panels.length, ...panels);
    for (const panel of panels) panel.style.aspectRatio = `${stack.width} / ${stack.height}`;
    [this.stack, this.channels, this.heatmap] = [stack, channels, null];
    this.fillPainter();
  }

  clear(): void {
    this.panels.length = 0;
    this.stack = null;
  }

  /** Lays a heatmap over, `top` being the value of its most opaque colour; null takes it away. */
  setHeatmap(map: Heatmap | null, top: number): void {
    this.heatmap = map && { map, top };
    this.bringHeatmap();
  }

  setColourMap(name: ColourMapName): void {
    this.colourMap = name;
    this.painter.setColourMap(colourTable(name));
  }

  /** Paints every panel, one pixel standing for `coarseness` along each axis. */
  paint(pictures: Picture[], part: Window, coarseness: number): void {
    const ratio = Math.min(MAX_PIXEL_RATIO, window.devicePixelRatio);
    const sizes = this.panels.map((panel) => ({
      width: Math.max(1, Math.round((panel.clientWidth * ratio) / coarseness)),
      height: Math.max(1, Math.round((panel.clientHeight * ratio) / coarseness)),
    }));
    const { places, size } = shelves(sizes);
    const drawn = places.flatMap((place, index) => {
      const picture = pictures[index];
      return picture ? [{ ...picture, place }] : [];
    });
    this.painter.draw(drawn, size, part);
    this.panels.forEach((panel, index) => {
      const place = places[index];
      if (place) this.copy(panel, place, coarseness);
    });
  }

  private copy(panel: HTMLCanvasElement, { x, y, width, height }: Place, coarseness: number): void {
    panel.ariaBusy = String(coarseness > 1);
    const [wide, high] = [width * coarseness, height * coarseness];
    if (coarseness === 1 && panel.width !== wide) panel.width = wide;
    if (coarseness === 1 && panel.height !== high) panel.height = high;
    const context = panel.getContext("2d", { alpha: false });
    context?.drawImage(this.painter.canvas, x, y, width, height, 0, 0, panel.width, panel.height);
  }

  private fillPainter(): void {
    if (!this.stack) return;
    this.painter.setStack(this.stack);
    this.painter.setColourMap(colourTable(this.colourMap));
    this.bringHeatmap();
  }

  private bringHeatmap(): void {
    if (this.heatmap && this.stack) this.painter.setHeatmap(this.heatmap.map, this.heatmap.top, this.stack);
    else this.painter.showNoHeatmap();
  }

  /** The system may take the GPU away; once it is back, a new context gets all of it again. */
  private listenToLoss(): void {
    const { canvas } = this.painter;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.painter = new Painter();
      this.listenToLoss();
      this.fillPainter();
      this.repaint();
    });
  }
}
