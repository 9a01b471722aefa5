/** Which part of the field every panel shows: its middle as a share of the field, and how much it is enlarged. */
export interface View {
  x: number;
  y: number;
  zoom: number;
}

/** A place of the field or of a panel, as shares of it. */
export interface Point {
  x: number;
  y: number;
}

export const WHOLE_FIELD: View = { x: 0.5, y: 0.5, zoom: 1 };
const MAX_ZOOM = 40;

/** A part of the field: its top left corner and its size, in shares of the field. */
export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What a panel of the field's own proportions shows. */
export function windowOf({ x, y, zoom }: View): Window {
  return { left: x - 0.5 / zoom, top: y - 0.5 / zoom, width: 1 / zoom, height: 1 / zoom };
}

/** Zooms so that the point at `x`, `y` of the panel (shares of it) stays where it is. */
export function zoomedAt(view: View, factor: number, x = 0.5, y = 0.5): View {
  const zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
  const moved = 1 / view.zoom - 1 / zoom;
  return inside({ x: view.x + (x - 0.5) * moved, y: view.y + (y - 0.5) * moved, zoom });
}

/** Moves the field by shares of the panel. */
export function panned(view: View, right: number, down: number): View {
  return inside({ x: view.x - right / view.zoom, y: view.y - down / view.zoom, zoom: view.zoom });
}

/**
 * Moves a point by hundredths of what is shown, at least by a pixel, and keeps it there; without one, from the middle.
 *
 * @param pixel Size of a pixel, in shares of the field.
 */
export function moved(point: Point | null, view: View, right: number, down: number, pixel: Point): Point {
  const { left, top, width, height } = windowOf(view);
  const from = point ?? { x: view.x, y: view.y };
  const within = (value: number, start: number, length: number) =>
    Math.min(start + length, Math.max(start, value));
  return {
    x: within(from.x + right * Math.max(width / 100, pixel.x), left, width),
    y: within(from.y + down * Math.max(height / 100, pixel.y), top, height),
  };
}

function inside({ x, y, zoom }: View): View {
  const half = 0.5 / zoom;
  return { x: Math.min(1 - half, Math.max(half, x)), y: Math.min(1 - half, Math.max(half, y)), zoom };
}
