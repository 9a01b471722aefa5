import type { Heatmap } from "../service/types";
import type { ShownStack } from "../stack/reading";
import { type ColourMapName, colourTable } from "./colourMaps";
import { parseColour } from "./colours";
import { listenToGestures } from "./gestures";
import { Painter, type Panel, type StainLayer } from "./painter";
import { type Place, shelves } from "./shelves";
import { type View, WHOLE_FIELD, windowOf } from "./view";

/** How one stain is shown. */
export interface StainStyle {
  colour: string;
  isOn: boolean;
  /** Contrast limits in the channel's own intensities. */
  limits: [number, number];
}

/** How the heatmap lies over the panels. */
export interface HeatStyle {
  opacity: number;
  /** `all`, `composite`, or the index of one stain. */
  over: "all" | "composite" | number;
  colourMap: ColourMapName;
}

const MAX_PIXEL_RATIO = 2;

/** Without a GPU a paint takes longer than this; what the hand moves is then painted at half the scale first. */
const SLOW_PAINT_MS = 30;
const COARSE = 2;
const SHARPEN_AFTER_MS = 150;

/** Keeps the panels of one stack drawn: the composite, and one for each stain, all of the same part of the field. */
export class Viewer {
  stains: StainStyle[] = [];
  heat: HeatStyle = { opacity: 0.6, over: "all", colourMap: "inferno" };
  areStainsGrey = true;
  onView: (view: View) => void = () => {};

  private painter = new Painter();
  private readonly panels: HTMLCanvasElement[] = [];
  private readonly resizing = new ResizeObserver(() => this.repaint());
  private stack: ShownStack | null = null;
  private heatmap: { map: Heatmap; top: number } | null = null;
  private view: View = WHOLE_FIELD;
  private isPending = false;
  private isSlow = false;
  private sharpening: number | undefined;

  constructor() {
    this.listenToLoss();
  }

  /** Shows a stack on a canvas for the composite and one for each channel. */
  setStack(stack: ShownStack, composite: HTMLCanvasElement, channels: HTMLCanvasElement[]): void {
    this.resizing.disconnect();
    this.panels.splice(0, this.panels.length, composite, ...channels);
    for (const panel of this.panels) {
      panel.style.aspectRatio = `${stack.width} / ${stack.height}`;
      this.resizing.observe(panel);
      const surface = panel.parentElement ?? panel;
      if (surface.dataset.listens) continue;
      surface.dataset.listens = "yes";
      listenToGestures(surface, (next) => this.setView(next(this.view)));
    }
    this.stack = stack;
    this.heatmap = null;
    this.fillPainter();
    this.setView(WHOLE_FIELD);
  }

  /** Lays a heatmap over, `top` being the value of its most opaque colour; null takes it away. */
  setHeatmap(map: Heatmap | null, top = map?.max ?? 0): void {
    this.heatmap = map && { map, top };
    this.bringHeatmap();
    this.repaint();
  }

  setColourMap(name: ColourMapName): void {
    this.heat.colourMap = name;
    this.painter.setColourMap(colourTable(name));
    this.repaint();
  }

  changeView(next: (view: View) => View): void {
    this.setView(next(this.view));
  }

  /** Draws every panel before the next frame. */
  repaint(): void {
    if (this.isPending || !this.stack) return;
    this.isPending = true;
    requestAnimationFrame(() => {
      this.isPending = false;
      window.clearTimeout(this.sharpening);
      this.paint(this.isSlow ? COARSE : 1);
      if (this.isSlow) this.sharpening = window.setTimeout(() => this.paint(1), SHARPEN_AFTER_MS);
    });
  }

  private setView(view: View): void {
    this.view = view;
    this.onView(view);
    this.repaint();
  }

  private fillPainter(): void {
    if (!this.stack) return;
    this.painter.setStack(this.stack);
    this.painter.setColourMap(colourTable(this.heat.colourMap));
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

  /** Paints every panel, one pixel standing for `coarseness` along each axis. */
  private paint(coarseness: number): void {
    const began = performance.now();
    const ratio = Math.min(MAX_PIXEL_RATIO, window.devicePixelRatio);
    const sizes = this.panels.map((panel) => ({
      width: Math.max(1, Math.round((panel.clientWidth * ratio) / coarseness)),
      height: Math.max(1, Math.round((panel.clientHeight * ratio) / coarseness)),
    }));
    const { places, size } = shelves(sizes);
    const layers = this.stains.map((style, channel) => this.layer(style, channel));
    const composite = layers.filter((_, channel) => this.stains[channel]?.isOn);
    const drawn = places.map((place, index): Panel => {
      const stains = index === 0 ? composite : this.alone(layers, index - 1);
      return {
        place,
        stains,
        gain: 1 / Math.max(1, stains.length / 2),
        opacity: this.opacityOver(index - 1),
      };
    });
    this.painter.draw(drawn, size, windowOf(this.view));
    this.panels.forEach((panel, index) => {
      const place = places[index];
      if (place) this.copy(panel, place, coarseness);
    });
    if (coarseness === 1) this.isSlow = performance.now() - began > SLOW_PAINT_MS;
  }

  private copy(panel: HTMLCanvasElement, { x, y, width, height }: Place, coarseness: number): void {
    panel.ariaBusy = String(coarseness > 1);
    const [wide, high] = [width * coarseness, height * coarseness];
    if (coarseness === 1 && panel.width !== wide) panel.width = wide;
    if (coarseness === 1 && panel.height !== high) panel.height = high;
    const context = panel.getContext("2d", { alpha: false });
    context?.drawImage(this.painter.canvas, x, y, width, height, 0, 0, panel.width, panel.height);
  }

  private alone(layers: StainLayer[], channel: number): StainLayer[] {
    const layer = layers[channel];
    if (!layer) return [];
    return [this.areStainsGrey ? { ...layer, colour: [1, 1, 1] } : layer];
  }

  private layer({ colour, limits }: StainStyle, channel: number): StainLayer {
    const { min, max } = this.stack?.channels[channel] ?? { min: 0, max: 1 };
    const span = Math.max(max - min, Number.MIN_VALUE);
    const [low, high] = [(limits[0] - min) / span, (limits[1] - min) / span];
    return { channel, colour: parseColour(colour), limits: [low, Math.max(high, low + 1e-6)] };
  }

  /** Opacity over a stain's panel, or over the composite where the channel is -1. */
  private opacityOver(channel: number): number {
    const { over, opacity } = this.heat;
    return over === "all" || over === channel || (over === "composite" && channel < 0) ? opacity : 0;
  }
}
