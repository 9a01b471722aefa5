/** Copies the text of an element; where the browser does not let a page do so, selects it and gives false. */
export async function copyTextOf(element: HTMLElement): Promise<boolean> {
  // Browsers give pages a clipboard on HTTPS and localhost alone, and only where it is not forbidden.
  const isCopied = await navigator.clipboard?.writeText(element.textContent ?? "").then(
    () => true,
    () => false,
  );
  if (isCopied) return true;
  // The older way copies what is selected, so that the text is ready for Ctrl and C where this fails as well.
  getSelection()?.selectAllChildren(element);
  return document.execCommand("copy");
}
