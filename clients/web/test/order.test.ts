import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { orderOf } from "../src/stack/fileOrder";
import { matchStains } from "../src/stack/stainNames";
import { orderWords } from "../src/ui/orderWords";

interface Case {
  stains: string[];
  names: string[];
  order?: string[];
}

const { cases } = JSON.parse(
  readFileSync(new URL("../../../tests/cases/stains.json", import.meta.url), "utf-8"),
) as { cases: Case[] };
const DYES = ["Hoechst", "ConA", "WGA"];

test.each(cases)("names are read as everywhere: $names", ({ stains, names, order }) => {
  expect(matchStains(names, stains)).toEqual(order ?? null);
});

test("files are told by the stains in their names, whatever their order", () => {
  const found = orderOf(["B02_s1_WGA.tif", "B02_s1_Hoechst 33342.tif", "B02_s1_con-a.ome.tiff"], DYES);
  expect(found).toEqual({ places: [0, 1, 2], stains: ["WGA", "Hoechst", "ConA"], from: "file names" });
});

test("a number that counts channels orders files by its value", () => {
  for (const [one, ten, two] of [
    ["w1", "w10", "w2"],
    ["x_ch1", "x_ch10", "x_ch2"],
    ["Channel_1", "Channel_10", "Channel_2"],
    ["1", "10", "2"],
    ["A01_s1_w1AB12CD34-0000-4000-8000-0123456789AB", "A01_s1_w10", "A01_s1_w2"],
  ]) {
    const found = orderOf([`${one}.tif`, `${ten}.TIF`, `${two}.tif`], DYES);
    expect(found, one).toEqual({ places: [0, 2, 1], stains: null, from: "file numbers" });
  }
});

test.each([
  [["s1_w1", "s2_w1", "s3_w1"]],
  [["C01", "C02", "C03"]],
  [["z_1", "z_2", "z_3"]],
  [["s1_w1", "s2_w2", "s3_w3"]],
  [["DAPI", "ER", "Golgi"]],
  [["WGA", "x", "y"]],
  [["WGA", "wga", "ConA"]],
])("names that do not tell channels leave the order to the reader: %s", (names) => {
  expect(orderOf(names, DYES).from).toBe("nothing");
});

test("the page says where each order came from", () => {
  const stack = { channels: DYES, height: 1, width: 1, dtype: "uint8" };
  const words = (
    channel_order: "bundle" | "query" | "ome" | "imagej",
    orderFrom: "file numbers" | null = null,
  ) => orderWords({ ...stack, channel_order }, { orderFrom });
  expect(words("bundle")).toBe("Channels were taken in the bundle's order; the file names no channels.");
  expect(words("bundle", "file numbers")).toContain("by the numbers in the names of the files");
  expect([words("query"), words("ome"), words("imagej")].join()).toMatch(/chosen here.*OME.*ImageJ/);
  const notices = [{ code: "unmatched_channel_names", channels: [], detail: "" }];
  expect(orderWords({ ...stack, channel_order: "bundle", notices }, { orderFrom: null })).toContain(
    "do not tell",
  );
});
