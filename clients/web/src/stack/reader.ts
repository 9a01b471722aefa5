import type { FromWorker } from "./reader.worker";
import type { ReadStack, StackFile } from "./reading";

/** Reads a stack on a thread of its own, so that the page stays alive; rejects with the reason as message. */
export function readStackAside(
  files: StackFile[],
  signal: AbortSignal,
  onProgress: (share: number) => void,
): Promise<ReadStack> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./reader.worker.ts", import.meta.url), { type: "module" });
    const stop = () => {
      worker.terminate();
      signal.removeEventListener("abort", stop);
    };
    signal.addEventListener("abort", stop);
    worker.onerror = () => {
      stop();
      reject(new Error("The browser could not decode it."));
    };
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.kind === "progress") {
        onProgress(data.done / data.total);
        return;
      }
      stop();
      if (data.kind === "stack") resolve(data.stack);
      else reject(new Error(data.reason));
    };
    worker.postMessage(
      files,
      files.map(({ content }) => content),
    );
  });
}
