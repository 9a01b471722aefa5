import type { Api } from "../service/api";
import type { Problem } from "../service/problem";
import type { BundleInfo, Example, Explanations, Prediction } from "../service/types";
import type { ShownStack } from "../stack/reading";
import { Viewer } from "../viewer/viewer";
import { AttributionPanel } from "./attributionPanel";
import { ChannelOrder } from "./channelOrder";
import { CompositePanel } from "./compositePanel";
import { byId } from "./dom";
import { DownloadPanel, type Sent } from "./downloadPanel";
import { HeatmapControls } from "./heatmapControls";
import { Intake } from "./intake";
import { askForKey } from "./keyForm";
import { Notices } from "./notices";
import { orderWords } from "./orderWords";
import { PredictionPanel } from "./predictionPanel";
import { Progress } from "./progress";
import { StainCards } from "./stainCards";

/** What the reader did that the session acts on. */
export interface Wishes {
  openFiles(files: File[]): void;
  openExample(example: Example, name: string): void;
  reorder(channels: string[]): void;
  attributeStains(): void;
}

/** Every part of the page, and what each of them learns of the others. */
export class Page {
  readonly notices = new Notices();
  readonly progress = new Progress();
  readonly intake: Intake;
  readonly attribution: AttributionPanel;
  readonly order: ChannelOrder;
  readonly askForKey = askForKey;

  private readonly viewer = new Viewer();
  private readonly heatmap = new HeatmapControls(this.viewer);
  private readonly composite = new CompositePanel(this.viewer, this.heatmap);
  private readonly cards = new StainCards(this.viewer, (names) => this.composite.tellStains(names));
  private readonly prediction = new PredictionPanel((treatment) => this.heatmap.pick(treatment));
  private readonly downloads: DownloadPanel;
  private readonly workspace = byId("workspace");

  constructor(api: Api, wishes: Wishes) {
    this.intake = new Intake({ onFiles: wishes.openFiles, onExample: wishes.openExample });
    this.attribution = new AttributionPanel(wishes.attributeStains);
    this.order = new ChannelOrder(wishes.reorder);
    this.downloads = new DownloadPanel(api, (problem, tryAgain) => this.notices.show(problem, tryAgain));
    this.heatmap.onTreatment = (treatment) => {
      this.prediction.mark(treatment);
      this.attribution.pick(treatment);
      this.downloads.pick(treatment);
    };
  }

  showBundle(bundle: BundleInfo): void {
    const { name, version, provenance } = bundle.manifest;
    const origin = provenance?.dataset?.simulated ? "; learned from simulated images" : "";
    byId("bundle-line").textContent = `Bundle ${name} ${version} on ${bundle.device}${origin}`;
    this.intake.showBundle(bundle);
  }

  /** Clears away the stack before. */
  startStack(name: string, size: string): void {
    this.intake.showStack(name, size);
    this.heatmap.forget();
    this.order.hide();
    this.prediction.clear();
    this.workspace.hidden = true;
  }

  showPicture(shown: ShownStack, stains: string[]): void {
    const { channels, height, width, dtype, factor } = shown;
    const isExpected = stains.length === channels.length;
    const names = channels.map((_, index) => (isExpected ? stains[index] : null) ?? `Channel ${index + 1}`);
    const reduced = factor > 1 ? `, shown at 1 / ${factor} of its scale` : "";
    this.intake.addFacts(`${channels.length} channels of ${height} × ${width} pixels, ${dtype}${reduced}`);
    this.workspace.hidden = false;
    const canvases = this.cards.show(shown, names);
    this.viewer.setStack(shown, this.composite.canvas, canvases);
    this.heatmap.showStains(names);
    this.workspace.classList.remove("is-without-picture");
  }

  /** Says why there is no picture; the service's answer comes all the same. */
  cannotShow(reason: string): void {
    this.intake.addFacts(`No picture: ${reason}`);
    this.workspace.classList.add("is-without-picture");
  }

  showPrediction(prediction: Prediction, sent: Sent): void {
    this.workspace.classList.add("has-answer");
    this.workspace.hidden = false;
    this.prediction.show(prediction, orderWords(prediction.stack, sent));
    this.attribution.offer(prediction.stack.channels.length);
    this.downloads.show(sent);
  }

  showExplanations(explanations: Explanations, prediction: Prediction): void {
    this.heatmap.show(explanations, prediction);
  }

  /** A stack that the service refuses is shown, but there is nothing to answer. */
  showProblem(problem: Problem, tryAgain: () => void): void {
    this.notices.show(problem, tryAgain);
    this.prediction.giveUp();
  }
}
