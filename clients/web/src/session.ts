import type { Api } from "./service/api";
import { Problem } from "./service/problem";
import type { BundleInfo, Example, StackSummary } from "./service/types";
import { orderOf } from "./stack/fileOrder";
import { isPng } from "./stack/png";
import { readStackAside } from "./stack/reader";
import type { ShownStack, StackFile } from "./stack/reading";
import type { Sent } from "./ui/downloadPanel";
import { fileSize } from "./ui/numbers";
import { orderWords } from "./ui/orderWords";
import type { Page } from "./ui/page";

/** What happens to one stack after another: read here and asked about there, at the same time where that can be. */
export class Session {
  private bundle: BundleInfo | null = null;
  private current = new AbortController();
  private attributing = new AbortController();
  /** The question for a key that is open, as several requests may need one at once. */
  private asking: Promise<string> | null = null;
  /** Milliseconds of one pass of the stack through the network. */
  private passMs: number | null = null;
  private shown: ShownStack | null = null;
  private sent: Sent | null = null;
  /** Stain of every channel: the bundle's order until the service has told the one it took. */
  private names: string[] = [];
  /** The file of every channel, where they came in several. */
  private files: string[] = [];
  /** What is said of the order; null until there is something to say. */
  private order: { words: string; isOpen: boolean } | null = null;
  private isPictureSettled = false;

  constructor(
    private readonly api: Api,
    private readonly page: Page,
  ) {}

  /** Learns what is served; asks for a key until the service takes it. */
  async begin(): Promise<void> {
    try {
      this.bundle = await this.api.bundle();
      this.page.showBundle(this.bundle);
      this.page.intake.showExamples(await this.api.examples());
    } catch (error) {
      await this.onProblem(error, () => this.begin());
    }
  }

  /** Takes one TIFF, or a file a channel; a PNG is always a channel. */
  async openFiles(files: File[]): Promise<void> {
    const signal = this.renew();
    const [first] = files;
    if (!first) return;
    try {
      if (files.length === 1 && !(await startsAsPng(first)))
        await this.openTiff(first.name, first, false, signal);
      else await this.openChannels(files, signal);
    } catch (error) {
      await this.onProblem(error, () => this.openFiles(files), signal);
    }
  }

  async openExample(example: Example, name: string): Promise<void> {
    const signal = this.renew();
    try {
      this.page.progress.wait(`Fetching ${name}`);
      const content = new Blob([await this.api.example(example.url, signal)], { type: "image/tiff" });
      await this.openTiff(`${name.toLowerCase().replace(" ", "-")}.tif`, content, true, signal);
    } catch (error) {
      await this.onProblem(error, () => this.openExample(example, name), signal);
    }
  }

  /** Asks again about the same stack, its channels in another order. */
  async reorder(channels: string[]): Promise<void> {
    if (!this.sent) return;
    const signal = this.renew();
    await this.ask({ ...this.sent, channels, orderFrom: null }, signal);
  }

  async attributeStains(): Promise<void> {
    const { sent } = this;
    if (!sent) return;
    this.attributing = new AbortController();
    const { signal } = this.attributing;
    const numStains = this.bundle?.manifest.input.channels.length ?? 0;
    this.page.attribution.wait(numStains, this.passMs);
    try {
      this.page.attribution.show(await this.api.explainAll(sent.content, sent.channels, true, { signal }));
    } catch (error) {
      if (this.sent === sent) this.page.attribution.offer(numStains);
      await this.onProblem(error, () => this.attributeStains(), signal);
    }
  }

  cancelAttribution(): void {
    this.attributing.abort();
  }

  /** Ends what is under way for the stack before. */
  private renew(): AbortSignal {
    this.current.abort();
    this.attributing.abort();
    this.current = new AbortController();
    this.page.notices.clear();
    this.page.progress.end();
    return this.current.signal;
  }

  private async openTiff(name: string, content: Blob, isOurs: boolean, signal: AbortSignal): Promise<void> {
    this.startStack(name, content.size);
    const files = [{ name, content: await content.arrayBuffer() }];
    // The service reads more kinds of TIFF than the page can show, so it is asked whatever becomes of the picture.
    const picture = this.showPicture(files, signal, () => {}).catch((error: Error) => {
      if (signal.aborted) return;
      this.page.cannotShow(error.message);
      this.settlePicture();
    });
    const sent = { fileName: name, content, channels: null, orderFrom: null, isOurs };
    await Promise.all([picture, this.ask(sent, signal)]);
  }

  private async openChannels(chosen: File[], signal: AbortSignal): Promise<void> {
    const expected = this.bundle?.manifest.input.channels ?? [];
    const order = orderOf(
      chosen.map(({ name }) => name),
      expected,
    );
    const ordered = order.places.flatMap((place) => chosen[place] ?? []);
    const bytes = ordered.reduce((sum, { size }) => sum + size, 0);
    const [first] = ordered;
    this.startStack(
      ordered.length > 1 ? `${ordered.length} files, ${first?.name} …` : (first?.name ?? ""),
      bytes,
    );
    this.files = ordered.map(({ name }) => name);
    this.names = order.stains ?? this.names;
    const files = await Promise.all(
      ordered.map(async (file) => ({ name: file.name, content: await file.arrayBuffer() })),
    );
    const onShare = (share: number) => this.page.progress.share("Reading the files", share);
    const content = await this.showPicture(files, signal, onShare).catch((error: Error) => {
      throw new Problem("The files are not one stack that can be read here", error.message);
    });
    if (!content) return;
    const orderFrom = order.from === "nothing" ? null : order.from;
    const sent = { fileName: "stack.tif", content, channels: order.stains, orderFrom, isOurs: true };
    if (order.from === "nothing" && expected.length === ordered.length) {
      this.page.progress.end();
      this.letChoose(sent, "The names of the files do not tell which stain each shows. Say so, then ask.");
    } else await this.ask(sent, signal);
  }

  private startStack(name: string, bytes: number): void {
    this.names = this.bundle?.manifest.input.channels ?? [];
    this.files = [];
    [this.shown, this.sent, this.order, this.isPictureSettled, this.passMs] = [null, null, null, false, null];
    this.page.startStack(name, fileSize(bytes));
  }

  /** Shows the stack itself; gives it as one TIFF where it came as several files. */
  private async showPicture(
    files: StackFile[],
    signal: AbortSignal,
    onShare: (share: number) => void,
  ): Promise<Blob | null> {
    const { shown, joined } = await readStackAside(files, signal, onShare);
    if (signal.aborted) return null;
    this.shown = shown;
    this.page.showPicture(shown, this.names);
    this.settlePicture();
    return joined;
  }

  /** Asks for the prediction, then for every treatment's map. */
  private async ask(sent: Sent, signal: AbortSignal): Promise<void> {
    const { progress } = this.page;
    const onUpload = (share: number) => {
      if (share < 1) progress.share("Uploading", share);
      else progress.wait("The service looks at the stack");
    };
    try {
      progress.share("Uploading", 0);
      const onTimes = (times: Map<string, number>) => {
        this.passMs = times.get("inference") ?? null;
      };
      const prediction = await this.api.predict(sent.content, sent.channels, { signal, onUpload, onTimes });
      this.sent = sent;
      this.takeOrder(prediction.stack, sent);
      this.page.showPrediction(prediction, sent);
      progress.wait("The service explains its answer");
      const explanations = await this.api.explainAll(sent.content, sent.channels, false, { signal });
      this.page.showExplanations(explanations, prediction);
      progress.end();
    } catch (error) {
      if (error instanceof Problem && error.code === "ambiguous_channels") {
        this.letChoose(
          sent,
          "The names in the file leave open which stain each channel shows. Say so, then ask.",
        );
      }
      await this.onProblem(error, () => this.ask(sent, signal), signal);
    }
  }

  /** Waits for the reader to say which channel shows which stain, before anything is asked about it. */
  private letChoose(sent: Sent, words: string): void {
    this.sent = sent;
    this.order = { words, isOpen: true };
    this.offerOrder();
  }

  private takeOrder(stack: StackSummary, sent: Sent): void {
    const { channels } = stack;
    const isOther = channels.join() !== this.names.join();
    this.names = channels;
    this.order = { words: orderWords(stack, sent), isOpen: false };
    if (isOther && this.shown) this.page.showPicture(this.shown, channels);
    this.offerOrder();
  }

  private settlePicture(): void {
    this.isPictureSettled = true;
    this.offerOrder();
  }

  /** Another order is asked about anew, which would end a picture that is still being read. */
  private offerOrder(): void {
    const { names: channels, files } = this;
    if (this.isPictureSettled && this.order) this.page.order.show({ channels, files, ...this.order });
  }

  /** Asks for a key and goes on, whether it was missing, wrong or has expired; or tells what went wrong. */
  async onProblem(error: unknown, tryAgain: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    this.page.progress.end();
    const problem = error instanceof Problem ? error : new Problem("The page failed", String(error));
    if (problem.needsKey) {
      this.asking ??= this.page.askForKey(problem);
      this.api.key = await this.asking;
      this.asking = null;
      if (!signal?.aborted) await tryAgain();
    } else {
      this.page.showProblem(problem, tryAgain);
    }
  }
}

async function startsAsPng(file: File): Promise<boolean> {
  return isPng(await file.slice(0, 8).arrayBuffer());
}
