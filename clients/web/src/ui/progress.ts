import { byId, make } from "./dom";

/** What the page waits for, with a share where it is known and the seconds where it is not. */
export class Progress {
  private readonly place = byId("progress");
  private readonly label = make("span", { role: "status" });
  private readonly seconds = make("span", { class: "quiet", "aria-hidden": "true" });
  private readonly bar = make("progress", { "aria-label": "Progress" });
  private ticking: number | undefined;

  constructor() {
    this.place.append(make("p", {}, this.label, this.seconds), this.bar);
  }

  /** Shows a share from 0 to 1. */
  share(label: string, share: number): void {
    this.show(label);
    this.bar.max = 1;
    this.bar.value = share;
    this.seconds.textContent = ` ${Math.round(share * 100)} %`;
  }

  /** Shows a wait of unknown length. */
  wait(label: string): void {
    this.show(label);
    this.bar.removeAttribute("value");
    const began = performance.now();
    this.ticking = window.setInterval(() => {
      this.seconds.textContent = ` ${Math.round((performance.now() - began) / 1000)} s`;
    }, 1000);
  }

  end(): void {
    window.clearInterval(this.ticking);
    this.place.hidden = true;
    this.label.textContent = "";
  }

  private show(label: string): void {
    window.clearInterval(this.ticking);
    this.place.hidden = false;
    this.seconds.textContent = "";
    // Written only when it changes, as screen readers speak each change.
    if (this.label.textContent !== label) this.label.textContent = label;
  }
}
