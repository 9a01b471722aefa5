import { type ReadStack, readStack, type StackFile } from "./reading";
import { UnshowableError } from "./unshowable";

export type FromWorker =
  | { kind: "progress"; done: number; total: number }
  | { kind: "stack"; stack: ReadStack }
  | { kind: "unshowable"; reason: string };

const scope = self as unknown as {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<StackFile[]>) => void) | null;
};

scope.onmessage = async ({ data: files }) => {
  try {
    const stack = await readStack(files, (done, total) =>
      scope.postMessage({ kind: "progress", done, total }),
    );
    const buffers = stack.shown.channels.flatMap(({ pixels, levels }) => [
      pixels.buffer,
      ...levels.map(({ values }) => values.buffer),
    ]);
    scope.postMessage({ kind: "stack", stack }, [...new Set(buffers)]);
  } catch (error) {
    const reason =
      error instanceof UnshowableError ? error.message : `It cannot be decoded here (${String(error)}).`;
    scope.postMessage({ kind: "unshowable", reason });
  }
};
