import { Problem, readProblem } from "./problem";

export interface Request {
  method: "GET" | "POST";
  url: string;
  accept: string;
  key: string | null;
  body?: Blob;
  signal?: AbortSignal;
  /** Called with the share of the body that was sent, 0 to 1. */
  onUpload?: (share: number) => void;
  /** Called with the milliseconds of each stage that the service measured. */
  onTimes?: (times: Map<string, number>) => void;
}

/** Sends one request. XMLHttpRequest, as fetch does not tell how much of a body was sent. */
export function send(request: Request): Promise<ArrayBuffer> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open(request.method, request.url);
    call.responseType = "arraybuffer";
    call.setRequestHeader("Accept", request.accept);
    if (request.key) call.setRequestHeader("X-API-Key", request.key);
    if (request.body) call.setRequestHeader("Content-Type", "image/tiff");
    call.upload.onprogress = (event) => {
      if (event.lengthComputable) request.onUpload?.(event.loaded / event.total);
    };
    call.onload = () => {
      const content = call.response as ArrayBuffer;
      const contentType = call.getResponseHeader("Content-Type") ?? "";
      if (call.status === 200 && contentType.startsWith(request.accept)) {
        request.onTimes?.(stages(call.getResponseHeader("Server-Timing") ?? ""));
        resolve(content);
      } else reject(readProblem(call.status, contentType, new TextDecoder().decode(content)));
    };
    call.onerror = () =>
      reject(
        new Problem("The service does not answer", "The connection failed. Is the service still running?"),
      );
    call.onabort = () =>
      reject(new DOMException("A newer request took the place of this one.", "AbortError"));
    const abort = () => call.abort();
    request.signal?.addEventListener("abort", abort);
    call.onloadend = () => request.signal?.removeEventListener("abort", abort);
    call.send(request.body ?? null);
  });
}

/** Durations by stage of a `Server-Timing` header, in milliseconds. */
export function stages(header: string): Map<string, number> {
  return new Map(
    [...header.matchAll(/([\w-]+)\s*;\s*dur=([\d.]+)/g)].map(([, stage = "", milliseconds]) => [
      stage,
      Number(milliseconds),
    ]),
  );
}
