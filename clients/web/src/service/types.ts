/** The answers of the service, as far as the page reads them; docs/http-api.md says what they mean. */

export interface BundleInfo {
  manifest: {
    name: string;
    version: string;
    input: { channels: string[]; min_size_px: number };
    treatments: string[];
    control: string;
    provenance?: { dataset?: { simulated?: boolean } };
  };
  device: string;
}

export interface Example {
  url: string;
  height: number;
  width: number;
  dtype: string;
}

/** Something about a stack that was answered all the same. */
export interface StackNotice {
  code: string;
  channels: string[];
  detail: string;
}

export interface StackSummary {
  channels: string[];
  channel_order: "bundle" | "query" | "ome" | "imagej" | "pages";
  /** An older service gives none. */
  notices?: StackNotice[];
  height: number;
  width: number;
  dtype: string;
}

export interface TreatmentProbability {
  treatment: string;
  probability: number;
}

export interface Prediction {
  stack: StackSummary;
  prediction: TreatmentProbability;
  probabilities: Record<string, number>;
  /** Of each treatment alone against the control, by a classifier of its own. */
  versus_control: Record<string, number>;
  forest: TreatmentProbability & { probabilities: Record<string, number> };
  prediction_set: { treatments: string[]; coverage: number } | null;
  /** Why there is no set; an older service gives none. */
  prediction_set_reason?: string | null;
  in_distribution: boolean | null;
  /** Why `in_distribution` is null; an older service gives none. */
  distribution_reason?: string | null;
  distance: { value: number; percentile: number } | null;
}

export interface Heatmap {
  values: number[][];
  height: number;
  width: number;
  scale_px: [number, number];
  max: number;
}

export interface StainAttribution {
  values: Record<string, number>;
  baseline_logit: number;
  logit: number;
}

export interface Explanations {
  explanations: Record<string, { heatmap: Heatmap; stains: StainAttribution | null }>;
}
