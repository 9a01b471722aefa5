import { type Point, panned, type View, WHOLE_FIELD, zoomedAt } from "./view";

const STEP = 0.1;

export interface Gestures {
  /** Gets how the view changes. */
  change(next: (view: View) => View): void;
  /** Gets the place of the panel that is pointed at; null once none is. */
  point(place: Point | null): void;
  /** Gets by how many steps the keys move what is pointed at. */
  step(right: number, down: number): void;
}

/** Lets a panel be zoomed, panned and pointed at by pointer, wheel, fingers and keys. */
export function listenToGestures(panel: HTMLElement, { change, point, step }: Gestures): void {
  const pointers = new Map<number, Point>();

  const share = ({ clientX, clientY }: { clientX: number; clientY: number }) => {
    const box = panel.getBoundingClientRect();
    return { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
  };

  panel.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    panel.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, share(event));
    point(share(event));
  });
  panel.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") point(null);
  });
  panel.addEventListener("pointermove", (event) => {
    if (pointers.size < 2) point(share(event));
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = share(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other) {
      const factor = distance(now, other) / Math.max(0.01, distance(before, other));
      change((view) => zoomedAt(view, factor, (now.x + other.x) / 2, (now.y + other.y) / 2));
    } else {
      change((view) => panned(view, now.x - before.x, now.y - before.y));
    }
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    panel.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }

  panel.addEventListener("dblclick", (event) => {
    const { x, y } = share(event);
    change((view) => zoomedAt(view, 2, x, y));
  });
  panel.addEventListener(
    "wheel",
    (event) => {
      // The wheel alone scrolls the page; browsers send a trackpad's pinch as a wheel with Ctrl.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { x, y } = share(event);
      change((view) => zoomedAt(view, 2 ** (-event.deltaY / 200), x, y));
    },
    { passive: false },
  );
  panel.addEventListener("keydown", (event) => {
    const steps = event.shiftKey ? STEPS[event.key] : undefined;
    if (steps && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      step(...steps);
      return;
    }
    const next = KEYS[event.key];
    if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    change(next);
  });
}

const KEYS: Record<string, (view: View) => View> = {
  "+": (view) => zoomedAt(view, 1.5),
  "=": (view) => zoomedAt(view, 1.5),
  "-": (view) => zoomedAt(view, 1 / 1.5),
  "0": () => WHOLE_FIELD,
  ArrowLeft: (view) => panned(view, STEP, 0),
  ArrowRight: (view) => panned(view, -STEP, 0),
  ArrowUp: (view) => panned(view, 0, STEP),
  ArrowDown: (view) => panned(view, 0, -STEP),
};

const STEPS: Record<string, [right: number, down: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function distance(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
