import { make } from "./dom";

/** Hands bytes to the browser's own download. */
export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = make("a", { href: url, download: name });
  link.click();
  // The download reads the address once, a moment after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
