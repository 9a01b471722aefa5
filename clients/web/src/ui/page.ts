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
import { short } from "./numbers";
import { orderWords } from "./orderWords";
import { PlainPicture } from "./plainPicture";
import { PredictionPanel } from "./predictionPanel";
import { Progress } from "./progress";
import { channelsOf, type Site } from "./site";
import { StainCards } from "./stainCards";

/** What the reader did that the session acts on. */
export interface Wishes {
  openFiles(files: File[]): void;
  openExample(example: Example, name: string): void;
  reorder(channels: string[]): void;
  attributeStains(): void;
  cancelAttribution(): void;
  onProblem(error: unknown, tryAgain: () => Promise<void>): void;
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
  private readonly composite = new CompositePanel(
    this.viewer,
    this.heatmap,
    () => this.keep(this.site),
    () => this.keep(null),
  );
  private readonly cards = new StainCards(this.viewer, (names) => this.composite.tellStains(names));
  private readonly prediction = new PredictionPanel((treatment) => this.heatmap.pick(treatment));
  private readonly downloads: DownloadPanel;
  private readonly plain: PlainPicture;
  private readonly workspace = byId("workspace");
  private name = "";
  private site: Site | null = null;
  private answers: Partial<Pick<Site, "prediction" | "explanations">> = {};
  /** Shown beside every later stack. */
  private kept: Site | null = null;

  constructor(api: Api, wishes: Wishes) {
    this.intake = new Intake({ onFiles: wishes.openFiles, onExample: wishes.openExample });
    this.attribution = new AttributionPanel(wishes.attributeStains, wishes.cancelAttribution);
    this.order = new ChannelOrder(wishes.reorder);
    this.downloads = new DownloadPanel(api, wishes.onProblem);
    this.plain = new PlainPicture(api, wishes.onProblem);
    this.heatmap.onTreatment = (treatment) => {
      this.prediction.mark(treatment);
      this.attribution.pick(treatment);
      this.downloads.pick(treatment);
      this.plain.pick(treatment);
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
    [this.name, this.site, this.answers] = [name, null, {}];
    this.intake.showStack(name, size);
    this.heatmap.forget();
    this.plain.forget();
    this.order.hide();
    this.prediction.clear();
    this.workspace.hidden = true;
  }

  showPicture(shown: ShownStack, stains: string[]): void {
    const { channels, height, width, dtype, factor, pixelUm } = shown;
    const isExpected = stains.length === channels.length;
    const names = channels.map((_, index) => (isExpected ? stains[index] : null) ?? `Channel ${index + 1}`);
    const reduced = factor > 1 ? `, shown at 1 / ${factor} of its scale` : "";
    const size = pixelUm === null ? "" : `, ${short(pixelUm)} µm a pixel`;
    const facts = `${channels.length} channels of ${height} × ${width} pixels, ${dtype}${size}`;
    if (this.viewer.obstacle) {
      this.cannotShow(`${this.viewer.obstacle} The stack has ${facts}.`);
      return;
    }
    this.intake.addFacts(facts + reduced);
    this.workspace.hidden = false;
    const { prediction = null, explanations = null } = this.answers;
    this.site = { name: this.name, shown, stains: names, prediction, explanations };
    if (this.kept?.shown === shown) this.kept = this.site;
    this.stage();
    this.workspace.classList.remove("is-without-picture");
  }

  /** Keeps a stack beside those to come; null lets the one that is kept go. */
  private keep(site: Site | null): void {
    const wasBeside = this.kept !== null && this.kept !== this.site;
    this.kept = site;
    if (wasBeside) this.stage();
    else this.composite.showSites(this.site, this.kept);
  }

  /** Lays out the stack, and the kept one beside it. */
  private stage(): void {
    const { site } = this;
    if (!site) return;
    const beside = this.kept === site ? null : this.kept;
    this.composite.showSites(site, this.kept);
    const canvases = this.cards.show(site, beside);
    this.viewer.setStacks(
      {
        stack: site.shown,
        composite: this.composite.canvas,
        stains: canvases.own,
        channels: site.stains.map((_, index) => index),
      },
      beside && {
        stack: beside.shown,
        composite: this.composite.canvasBeside,
        stains: canvases.beside,
        channels: channelsOf(beside, site.stains),
      },
    );
    this.heatmap.showStains(site.stains, beside?.explanations ?? null);
  }

  /** Says why there is no picture; the service's answer comes all the same. */
  cannotShow(reason: string): void {
    this.intake.addFacts(`No picture: ${reason}`);
    this.workspace.classList.add("is-without-picture");
    this.plain.want();
  }

  showPrediction(prediction: Prediction, sent: Sent): void {
    this.workspace.classList.add("has-answer");
    this.workspace.hidden = false;
    this.answers = { prediction };
    this.tellSite();
    this.prediction.show(prediction, orderWords(prediction.stack, sent));
    this.attribution.offer(prediction.stack.channels.length);
    this.downloads.show(sent);
    this.plain.take(sent);
  }

  showExplanations(explanations: Explanations, prediction: Prediction): void {
    this.answers = { prediction, explanations: explanations.explanations };
    this.tellSite();
    this.heatmap.show(explanations, prediction);
  }

  /** Picture and answers come at the same time, either first. */
  private tellSite(): void {
    if (!this.site) return;
    Object.assign(this.site, this.answers);
    this.composite.showSites(this.site, this.kept);
  }

  /** A stack that the service refuses is shown, but there is nothing to answer. */
  showProblem(problem: Problem, tryAgain: () => void): void {
    this.notices.show(problem, tryAgain);
    this.prediction.giveUp();
  }
}
