import type { Problem } from "../service/problem";
import { make } from "./dom";

/** Asks for the API key; resolves with what was typed. Nothing but the page's memory holds it. */
export function askForKey(problem: Problem): Promise<string> {
  return new Promise((resolve) => {
    const input = make("input", {
      type: "password",
      id: "api-key",
      autocomplete: "off",
      spellcheck: "false",
      required: true,
      "aria-describedby": "key-words",
    });
    const dialog = make(
      "dialog",
      { "aria-labelledby": "key-title" },
      make(
        "form",
        {
          method: "dialog",
          onsubmit: (event) => {
            event.preventDefault();
            dialog.close();
            dialog.remove();
            resolve(input.value);
          },
        },
        make("h2", { id: "key-title" }, problem.title),
        make(
          "p",
          { id: "key-words" },
          problem.isKeyRefused ? problem.detail : "This service asks for a key.",
        ),
        make("label", { class: "field", for: "api-key" }, make("span", {}, "API key"), input),
        make(
          "p",
          { class: "quiet" },
          "It stays in this page's memory and is gone when you close or reload the page.",
        ),
        make("button", { type: "submit", class: "primary" }, "Continue"),
      ),
    );
    // Without a key there is nothing to go back to.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
}
