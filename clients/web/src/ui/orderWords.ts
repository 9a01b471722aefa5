import type { StackSummary } from "../service/types";
import type { Sent } from "./downloadPanel";

const BY_SERVICE: Record<StackSummary["channel_order"], string> = {
  bundle: "in the bundle's order; the file names no channels",
  query: "in the order chosen here",
  ome: "by the names in the file (OME)",
  imagej: "by the labels in the file (ImageJ)",
  pages: "by the names of the file's pages",
};

/** Says where the order of the channels came from. */
export function orderWords(stack: StackSummary, sent: Pick<Sent, "orderFrom">): string {
  return `Channels were taken ${origin(stack, sent)}.`;
}

function origin(
  { channel_order: order, notices = [] }: StackSummary,
  { orderFrom }: Pick<Sent, "orderFrom">,
): string {
  if (orderFrom === "file names") return "by the names of the files";
  if (orderFrom === "file numbers") return "by the numbers in the names of the files, in the bundle's order";
  if (order === "bundle" && notices.some(({ code }) => code === "unmatched_channel_names")) {
    return "in the bundle's order; the names in the file do not tell their stains";
  }
  return BY_SERVICE[order];
}
