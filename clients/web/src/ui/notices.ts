import type { Problem } from "../service/problem";
import { byId, make } from "./dom";

/** What went wrong, one notice for each thing that can be tried again by itself. */
export class Notices {
  private readonly place = byId("notices");

  clear(): void {
    this.place.replaceChildren();
  }

  /** Shows a problem in its own words. */
  show(problem: Problem, tryAgain?: () => void): void {
    const facts = [problem.status, problem.code, problem.incident && `incident ${problem.incident}`].filter(
      Boolean,
    );
    const notice = make(
      "div",
      { class: "notice is-problem", role: "alert" },
      make(
        "div",
        {},
        make("strong", {}, problem.title),
        make("p", { class: "notice-words" }, problem.detail),
      ),
      facts.length > 0 ? make("code", { class: "quiet" }, facts.join(" · ")) : null,
    );
    if (tryAgain) {
      const onclick = () => {
        notice.remove();
        tryAgain();
      };
      notice.append(make("button", { type: "button", onclick }, "Try again"));
    }
    this.place.append(notice);
  }
}
