/** Which part of the field every panel shows: its middle as a share of the field, and how much it is enlarged. */
export interface View {
  x: number;
  y: number;
  zoom: number;
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

function inside({ x, y, zoom }: View): View {
  const half = 0.5 / zoom;
  return { x: Math.min(1 - half, Math.max(half, x)), y: Math.min(1 - half, Math.max(half, y)), zoom };
}
