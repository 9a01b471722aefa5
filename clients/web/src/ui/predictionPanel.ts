import type { Prediction, StackNotice, TreatmentProbability } from "../service/types";
import { byId, make } from "./dom";
import { probability } from "./numbers";

/** Rows shown before the reader asks for all. */
const FIRST_ROWS = 12;

/** What classifier and forest say, how sure, and whether to believe it. */
export class PredictionPanel {
  private readonly section = byId("prediction");
  private rows = new Map<string, HTMLElement>();

  constructor(private readonly onPick: (treatment: string) => void) {
    this.section.append(make("h2", { id: "prediction-title" }, "Prediction"));
  }

  clear(): void {
    this.rows.clear();
    this.section.replaceChildren(
      make("h2", { id: "prediction-title" }, "Prediction"),
      make("p", { class: "quiet" }, "Waiting for the service's answer."),
    );
  }

  /** Takes the place of the wait where no answer will come. */
  giveUp(): void {
    if (this.rows.size === 0)
      this.section.replaceChildren(make("h2", { id: "prediction-title" }, "No answer"));
  }

  /** Shows an answer, and what is said of the order of its channels. */
  show(answer: Prediction, order: string): void {
    const names = Object.keys(answer.probabilities).sort(
      (a, b) => (answer.probabilities[b] ?? 0) - (answer.probabilities[a] ?? 0),
    );
    this.rows = new Map(names.map((name) => [name, this.row(answer, name)]));
    const rows = [...this.rows.values()];
    const body = make("tbody", {}, ...rows.slice(0, FIRST_ROWS));
    this.section.replaceChildren(
      make("h2", { id: "prediction-title" }, "Prediction"),
      make(
        "div",
        { role: "status" },
        make(
          "dl",
          { class: "headlines" },
          ...headline("Classifier", answer.prediction),
          ...headline("Forest", answer.forest),
        ),
      ),
      make("p", { class: "quiet", id: "channel-order" }, order),
      ...(answer.stack.notices ?? []).map(noticed),
      ...trust(answer),
      make(
        "table",
        { class: "bars" },
        make(
          "caption",
          { class: "hidden" },
          "Probability of every treatment by classifier and forest, and against the control alone",
        ),
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            ...["Treatment", "Classifier", "Forest", "Against control"].map((name) =>
              make("th", { scope: "col" }, name),
            ),
          ),
        ),
        body,
      ),
      make(
        "p",
        { class: "quiet" },
        "Classifier and forest share 1 among all treatments. “Against control” asks of each treatment by itself: it or the control?",
      ),
    );
    if (rows.length > FIRST_ROWS) this.section.append(showAll(body, rows));
  }

  /** Marks the treatment whose heatmap is shown. */
  mark(treatment: string): void {
    for (const [name, row] of this.rows) {
      row.querySelector("button")?.setAttribute("aria-pressed", String(name === treatment));
    }
  }

  private row(answer: Prediction, name: string): HTMLElement {
    const isInSet = answer.prediction_set?.treatments.includes(name);
    const onclick = () => this.onPick(name);
    const pick = make("button", { type: "button", class: "link", "aria-pressed": "false", onclick }, name);
    return make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        pick,
        isInSet
          ? make("span", { class: "in-set", role: "img", "aria-label": "in the prediction set" }, "●")
          : null,
      ),
      bar(answer.probabilities[name] ?? 0, "is-classifier"),
      bar(answer.forest.probabilities[name] ?? 0, "is-forest"),
      against(answer.versus_control[name]),
    );
  }
}

function headline(judge: string, { treatment, probability: share }: TreatmentProbability): HTMLElement[] {
  return [
    make("dt", {}, judge),
    make("dd", {}, make("strong", {}, treatment), make("span", {}, probability(share))),
  ];
}

function bar(value: number, kind: string): HTMLElement {
  const fill = make("span", { class: `fill ${kind}` });
  fill.style.width = `${100 * value}%`;
  const track = make("span", { class: "track", "aria-hidden": "true" }, fill);
  return make(
    "td",
    {},
    make("div", { class: "bar" }, track, make("span", { class: "number" }, probability(value))),
  );
}

/** The control has no classifier against itself. */
function against(value: number | undefined): HTMLElement {
  if (value !== undefined) return bar(value, "is-versus");
  const none = make("span", { "aria-hidden": "true" }, "–");
  return make("td", { class: "quiet" }, none, make("span", { class: "hidden" }, "the control itself"));
}

const NOTICE_TITLES: Record<string, string> = {
  dead_channel: "No signal",
  saturated_channel: "Saturated",
  noise_channel: "Nothing but noise",
  repeated_channel: "The same picture twice",
  unmatched_channel_names: "Names that are no stains",
  swapped_channels: "Swapped?",
};

/** What the service noticed of the stack; a code of a later service is told in its words alone. */
function noticed({ code, channels, detail }: StackNotice): HTMLElement {
  const title = NOTICE_TITLES[code] ?? "Take note";
  return warning(channels.length > 0 ? `${title}: ${channels.join(", ")}` : title, detail);
}

function warning(title: string, words: string): HTMLElement {
  return make(
    "div",
    { class: "notice is-warning", role: "alert" },
    make("strong", {}, title),
    make("p", { class: "notice-words" }, words),
  );
}

/** The prediction set and the notice of a foreign stack, as far as the bundle can tell. */
function trust({
  prediction_set: set,
  prediction_set_reason: noSet,
  in_distribution: isKnown,
  distribution_reason: notKnown,
  distance,
}: Prediction): HTMLElement[] {
  const told = [];
  if (isKnown === false && distance) {
    told.push(
      warning(
        "Unlike what the model learned from",
        `Its embedding lies farther from the training sites than that of ${distance.percentile.toFixed(1)} % of the ` +
          "validation controls, or its channels do not look like their stains, or like images at all. Neither " +
          "probabilities nor set can be trusted.",
      ),
    );
  }
  for (const reason of [noSet, notKnown]) if (reason) told.push(make("p", { class: "quiet" }, reason));
  if (!set) return told;
  const share = `${Number((100 * set.coverage).toFixed(1))} %`;
  const words =
    set.treatments.length > 0
      ? [
          make("span", { class: "in-set", "aria-hidden": "true" }, "●"),
          ` Compatible at ${share} coverage: `,
          make("strong", {}, set.treatments.join(", ")),
        ]
      : [`Compatible at ${share} coverage: none. The stack is unlike every treatment.`];
  const position =
    isKnown && distance
      ? make(
          "p",
          { class: "quiet" },
          `Like the training sites: distance at percentile ${distance.percentile.toFixed(1)} of the validation controls.`,
        )
      : null;
  told.push(make("div", { class: "set" }, make("p", {}, ...words), position));
  return told;
}

function showAll(body: HTMLElement, rows: HTMLElement[]): HTMLElement {
  const button: HTMLButtonElement = make(
    "button",
    {
      type: "button",
      onclick: () => {
        body.replaceChildren(...rows);
        button.remove();
      },
    },
    `Show all ${rows.length}`,
  );
  return button;
}
