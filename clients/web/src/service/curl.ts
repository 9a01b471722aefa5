import { address, JSON_TYPE, type StackRequest } from "./api";

/** The shell line that sends a request and saves its answer; the key stays in a variable of the reader's shell. */
export function curlLine(
  request: StackRequest,
  { base, file, output, withKey }: { base: string; file: string; output: string; withKey: boolean },
): string {
  const words = ["curl", "--data-binary", quoted(`@${file}`), "-H", "'Content-Type: image/tiff'"];
  if (request.accept !== JSON_TYPE) words.push("-H", quoted(`Accept: ${request.accept}`));
  if (withKey) words.push("-H", '"X-API-Key: $PHENOSERVE_KEY"');
  words.push("-o", quoted(output), quoted(`${base}${address(request)}`));
  return words.join(" ");
}

/** One word of a POSIX shell, quoted where it needs to be. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
