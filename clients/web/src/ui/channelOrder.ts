import { byId, make } from "./dom";

const ORIGINS = {
  bundle: "Channels were taken in the model's order of stains.",
  query: "Channels were taken in the order chosen here.",
  ome: "Channels were taken by the names in the file.",
};

/** Says which stain each channel was taken for, and lets another order be chosen. */
export class ChannelOrder {
  private readonly element = make("details", { class: "order" });

  constructor(private readonly onOrder: (channels: string[]) => void) {
    byId("stains").append(this.element);
  }

  hide(): void {
    this.element.hidden = true;
  }

  show(channels: string[], origin: keyof typeof ORIGINS): void {
    this.element.hidden = false;
    const selects = channels.map((stain, index) => {
      const options = channels.map((name) => make("option", { value: name, selected: name === stain }, name));
      const select = make("select", {}, ...options);
      select.addEventListener("change", () => {
        // The stain that was here goes where the chosen one was.
        const order = channels.map((name) => (name === select.value ? stain : name));
        order[index] = select.value;
        this.onOrder(order);
      });
      return make("label", { class: "field" }, make("span", {}, `Channel ${index + 1}`), select);
    });
    this.element.replaceChildren(
      make("summary", {}, "Order of the channels"),
      make("p", { class: "quiet" }, ORIGINS[origin]),
      make("div", { class: "fields" }, ...selects),
    );
  }
}
