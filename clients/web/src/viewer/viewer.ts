import type { Heatmap } from "../service/types";
import type { ShownStack } from "../stack/reading";
import type { ColourMapName } from "./colourMaps";
import { parseColour } from "./colours";
import { listenToGestures } from "./gestures";
import type { StainLayer } from "./painter";
import { type Picture, Scene } from "./scene";
import { moved, type Point, type View, WHOLE_FIELD, windowOf } from "./view";

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

/** A stack with its canvases, and the channel of it that shows each stain (-1 where none does). */
export interface Staged {
  stack: ShownStack;
  composite: HTMLCanvasElement;
  stains: HTMLCanvasElement[];
  channels: number[];
}

/** Without a GPU a paint takes longer than this; what the hand moves is then painted at half the scale first. */
const SLOW_PAINT_MS = 30;
const COARSE = 2;
const SHARPEN_AFTER_MS = 150;

/**
 * Keeps the panels of a stack drawn, and of one beside it: the composite, and one for each stain.
 *
 * All show the same part of their fields, in the same colours between the same limits.
 */
export class Viewer {
  stains: StainStyle[] = [];
  heat: HeatStyle = { opacity: 0.6, over: "all", colourMap: "inferno" };
  areStainsGrey = true;
  onView: (view: View) => void = () => {};
  /** Told where the pointer or the cross of the keyboard is, as a share of the field. */
  onPoint: (point: Point | null, isByKey: boolean) => void = () => {};
  /** Why nothing can be drawn; null where it can. */
  readonly obstacle: string | null;

  private readonly scenes: Scene[] = [];
  private readonly resizing = new ResizeObserver(() => this.repaint());
  private view: View = WHOLE_FIELD;
  private point: Point | null = null;
  private isPointByKey = false;
  private isPending = false;
  private isSlow = false;
  private sharpening: number | undefined;

  constructor() {
    this.obstacle = this.tryFirstScene();
  }

  /** Shows a stack, and one beside it where there is one. */
  setStacks(own: Staged, beside: Staged | null): void {
    this.resizing.disconnect();
    this.stage(0, own);
    if (beside) this.stage(1, beside);
    else this.scenes[1]?.clear();
    this.setPoint(null, false);
    this.setView(WHOLE_FIELD);
  }

  /** Lays heatmaps over the stack and the one beside it, `top` being the value of the most opaque colour. */
  setHeatmaps(maps: (Heatmap | null)[], top: number): void {
    this.scenes.forEach((scene, index) => {
      scene.setHeatmap(maps[index] ?? null, top);
    });
    this.repaint();
  }

  setColourMap(name: ColourMapName): void {
    this.heat.colourMap = name;
    for (const scene of this.scenes) scene.setColourMap(name);
    this.repaint();
  }

  changeView(next: (view: View) => View): void {
    this.setView(next(this.view));
  }

  /** Draws every panel before the next frame. */
  repaint(): void {
    if (this.isPending || !this.scenes[0]?.stack) return;
    this.isPending = true;
    requestAnimationFrame(() => {
      this.isPending = false;
      window.clearTimeout(this.sharpening);
      this.paint(this.isSlow ? COARSE : 1);
      if (this.isSlow) this.sharpening = window.setTimeout(() => this.paint(1), SHARPEN_AFTER_MS);
    });
  }

  private tryFirstScene(): string | null {
    try {
      this.scenes.push(new Scene(() => this.repaint()));
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }

  private stage(index: number, { stack, composite, stains, channels }: Staged): void {
    if (!this.scenes[index]) this.scenes.push(new Scene(() => this.repaint()));
    const scene = this.scenes[index];
    scene?.setStack(stack, [composite, ...stains], channels);
    scene?.setColourMap(this.heat.colourMap);
    for (const panel of scene?.panels ?? []) this.listen(panel);
  }

  private listen(panel: HTMLCanvasElement): void {
    this.resizing.observe(panel);
    const surface = panel.parentElement ?? panel;
    if (surface.dataset.listens) return;
    surface.dataset.listens = "yes";
    listenToGestures(surface, {
      change: (next) => this.setView(next(this.view)),
      point: (place) => {
        // What lies under a pointer that never came may move away from it: the cross of the keyboard stays.
        if (place || !this.isPointByKey) this.setPoint(place && this.inField(place), false);
      },
      step: (right, down) => {
        const { width = 1, height = 1 } = this.scenes[0]?.stack ?? {};
        const pixel = { x: 1 / width, y: 1 / height };
        this.setPoint(moved(this.point, this.view, right, down, pixel), true);
      },
    });
  }

  private inField({ x, y }: Point): Point {
    const { left, top, width, height } = windowOf(this.view);
    return { x: left + x * width, y: top + y * height };
  }

  private setPoint(point: Point | null, isByKey: boolean): void {
    [this.point, this.isPointByKey] = [point, isByKey];
    this.onPoint(point, isByKey);
    this.markPoint();
  }

  /** A cross at the same place of every panel. */
  private markPoint(): void {
    const { left, top, width, height } = windowOf(this.view);
    const surfaces = this.scenes.flatMap(({ panels }) => panels.map((panel) => panel.parentElement));
    for (const surface of surfaces) {
      const style = surface?.style;
      surface?.classList.toggle("is-pointed-at", this.point !== null);
      if (!style || !this.point) continue;
      style.setProperty("--cross-x", `${(100 * (this.point.x - left)) / width}%`);
      style.setProperty("--cross-y", `${(100 * (this.point.y - top)) / height}%`);
    }
  }

  private setView(view: View): void {
    this.view = view;
    this.onView(view);
    this.markPoint();
    this.repaint();
  }

  private paint(coarseness: number): void {
    const began = performance.now();
    for (const scene of this.scenes) {
      if (scene.stack) scene.paint(this.pictures(scene), windowOf(this.view), coarseness);
    }
    if (coarseness === 1) this.isSlow = performance.now() - began > SLOW_PAINT_MS;
  }

  /** What composite and stains of a scene show, in the order of its panels. */
  private pictures(scene: Scene): Picture[] {
    const layers = this.stains.map((style, stain) => this.layer(style, scene, stain));
    const composite = layers.filter((layer, stain) => layer && this.stains[stain]?.isOn);
    return [composite, ...layers.map((layer) => this.alone(layer))].map((stains, index) => {
      const held = stains.filter((layer) => layer !== null);
      return { stains: held, gain: 1 / Math.max(1, held.length / 2), opacity: this.opacityOver(index - 1) };
    });
  }

  private alone(layer: StainLayer | null): StainLayer[] {
    if (!layer) return [];
    return [this.areStainsGrey ? { ...layer, colour: [1, 1, 1] } : layer];
  }

  private layer(
    { colour, limits }: StainStyle,
    { stack, channels }: Scene,
    stain: number,
  ): StainLayer | null {
    const channel = channels[stain] ?? -1;
    const found = stack?.channels[channel];
    if (!found) return null;
    const span = Math.max(found.max - found.min, Number.MIN_VALUE);
    const [low, high] = [(limits[0] - found.min) / span, (limits[1] - found.min) / span];
    return { channel, colour: parseColour(colour), limits: [low, Math.max(high, low + 1e-6)] };
  }

  /** Opacity over a stain's panel, or over the composite where the channel is -1. */
  private opacityOver(channel: number): number {
    const { over, opacity } = this.heat;
    return over === "all" || over === channel || (over === "composite" && channel < 0) ? opacity : 0;
  }
}
