import { type Request, send } from "./request";
import type { BundleInfo, Example, Explanations, Prediction } from "./types";

/** A request that carries a stack, all but the stack. */
export interface StackRequest {
  route: "predict" | "embed" | "explain";
  accept: string;
  query: Record<string, string>;
}

export const JSON_TYPE = "application/json";

export const PREDICT: StackRequest = { route: "predict", accept: JSON_TYPE, query: {} };
export const EXPLAIN_ALL: StackRequest = { route: "explain", accept: JSON_TYPE, query: { treatment: "*" } };
export const OVERLAY: StackRequest = { route: "explain", accept: "image/png", query: {} };

/** Address of a request, relative to the page, so that it holds behind a proxy that adds a prefix. */
export function address(request: StackRequest): string {
  const query = new URLSearchParams(request.query).toString();
  return query ? `${request.route}?${query}` : request.route;
}

type Options = Pick<Request, "signal" | "onUpload" | "onTimes">;

export class Api {
  /** Kept here alone: it is gone when the page is. */
  key: string | null = null;

  bundle(): Promise<BundleInfo> {
    return this.getJson<BundleInfo>("bundle");
  }

  async examples(): Promise<Example[]> {
    return (await this.getJson<{ examples: Example[] }>("examples")).examples;
  }

  async example(url: string, signal: AbortSignal): Promise<ArrayBuffer> {
    return send({ method: "GET", url, accept: "image/tiff", key: this.key, signal });
  }

  predict(stack: Blob, channels: string[] | null, options: Options): Promise<Prediction> {
    return this.postJson<Prediction>(inOrder(PREDICT, channels), stack, options);
  }

  explainAll(
    stack: Blob,
    channels: string[] | null,
    stains: boolean,
    options: Options,
  ): Promise<Explanations> {
    const request = stains
      ? { ...EXPLAIN_ALL, query: { ...EXPLAIN_ALL.query, stains: "true" } }
      : EXPLAIN_ALL;
    return this.postJson<Explanations>(inOrder(request, channels), stack, options);
  }

  post(request: StackRequest, stack: Blob, options: Options = {}): Promise<ArrayBuffer> {
    const { accept } = request;
    return send({ method: "POST", url: address(request), accept, key: this.key, body: stack, ...options });
  }

  private async postJson<Answer>(request: StackRequest, stack: Blob, options: Options): Promise<Answer> {
    return parse<Answer>(await this.post(request, stack, options));
  }

  private async getJson<Answer>(url: string): Promise<Answer> {
    return parse<Answer>(await send({ method: "GET", url, accept: JSON_TYPE, key: this.key }));
  }
}

/** Adds the channel order that was chosen by hand, if one was. */
export function inOrder(request: StackRequest, channels: string[] | null): StackRequest {
  return channels ? { ...request, query: { channels: channels.join(","), ...request.query } } : request;
}

function parse<Answer>(content: ArrayBuffer): Answer {
  return JSON.parse(new TextDecoder().decode(content)) as Answer;
}
