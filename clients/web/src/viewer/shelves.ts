export interface Size {
  width: number;
  height: number;
}

export interface Place extends Size {
  x: number;
  y: number;
}

/** Lays rectangles out in rows, each as wide as the widest of them at most; gives their places and the size of all. */
export function shelves(sizes: Size[]): { places: Place[]; size: Size } {
  const width = Math.max(1, ...sizes.map((size) => size.width));
  let [x, y, shelf] = [0, 0, 0];
  const places = sizes.map((size) => {
    if (x + size.width > width) [x, y, shelf] = [0, y + shelf, 0];
    const place = { ...size, x, y };
    x += size.width;
    shelf = Math.max(shelf, size.height);
    return place;
  });
  return { places, size: { width, height: Math.max(1, y + shelf) } };
}
