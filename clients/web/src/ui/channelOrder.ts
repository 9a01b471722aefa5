import { byId, make } from "./dom";

/** What is said of an order, and what becomes of another. */
export interface ShownOrder {
  /** The stain of each channel. */
  channels: string[];
  words: string;
  /** The file of each channel, where it came in several. */
  files: string[];
  /** Whether it is asked about only when the reader says so, and not with each change. */
  isOpen: boolean;
}

/** Says which stain each channel was taken for, and lets another order be chosen. */
export class ChannelOrder {
  private readonly element = make("details", { class: "order" });

  constructor(private readonly onOrder: (channels: string[]) => void) {
    byId("stains").append(this.element);
  }

  hide(): void {
    this.element.hidden = true;
  }

  show(order: ShownOrder): void {
    const { channels, words, files, isOpen } = order;
    this.element.hidden = false;
    if (isOpen) this.element.open = true;
    const selects = channels.map((stain, index) => {
      const options = channels.map((name) => make("option", { value: name, selected: name === stain }, name));
      const select = make("select", {}, ...options);
      select.addEventListener("change", () => this.exchange(order, index, select.value));
      const file = files[index];
      const label = `Channel ${index + 1}${file ? `: ${file}` : ""}`;
      return make("label", { class: "field" }, make("span", {}, label), select);
    });
    const onclick = () => this.onOrder(channels);
    this.element.replaceChildren(
      make("summary", {}, "Order of the channels"),
      make("p", { class: "quiet" }, words),
      make("div", { class: "fields" }, ...selects),
      ...(isOpen ? [make("button", { type: "button", class: "primary", onclick }, "Ask in this order")] : []),
    );
  }

  /** The stain that was here goes where the chosen one was. */
  private exchange(order: ShownOrder, index: number, chosen: string): void {
    const channels = order.channels.map((name) => (name === chosen ? (order.channels[index] ?? name) : name));
    channels[index] = chosen;
    if (order.isOpen) this.show({ ...order, channels });
    else this.onOrder(channels);
  }
}
