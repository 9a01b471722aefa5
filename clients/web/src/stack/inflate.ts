import { UnshowableError } from "./unshowable";

/** Inflates a zlib stream (RFC 1950) by the browser's own means; a damaged or cut one is refused. */
export async function inflate(compressed: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const inflated = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    return await new Response(inflated).arrayBuffer();
  } catch {
    throw new UnshowableError("Its compressed pixels are damaged or cut short.");
  }
}
