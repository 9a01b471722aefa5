import { expect, test } from "vitest";
import { EXPLAIN_ALL, inOrder, PREDICT } from "../src/service/api";
import { curlLine, quoted } from "../src/service/curl";
import { readProblem } from "../src/service/problem";
import { short, signed } from "../src/ui/numbers";

const place = { base: "http://x/", file: "a b.tif", output: "a.json", withKey: false };

test("a curl line is the request that the page sends", () => {
  expect(curlLine(PREDICT, place)).toBe(
    "curl --data-binary '@a b.tif' -H 'Content-Type: image/tiff' -o a.json http://x/predict",
  );
  expect(curlLine({ ...EXPLAIN_ALL, accept: "image/png" }, { ...place, withKey: true })).toContain(
    `-H 'Accept: image/png' -H "X-API-Key: $PHENOSERVE_KEY"`,
  );
  expect(inOrder(PREDICT, ["DNA", "RNA"]).query).toEqual({ channels: "DNA,RNA" });
});

test("no file name breaks out of its word", () => {
  expect(quoted("it's; rm")).toBe("'it'\\''s; rm'");
});

test("a problem keeps the service's words, and anything else is named as foreign", () => {
  const body = JSON.stringify({ title: "T", detail: "D", code: "not_a_tiff", status: 415 });
  expect(readProblem(415, "application/problem+json", body)).toMatchObject({
    title: "T",
    detail: "D",
    code: "not_a_tiff",
    status: 415,
  });
  const foreign = readProblem(413, "text/html", "<html>Request Entity Too Large");
  expect(foreign).toMatchObject({ code: null, status: 413, needsKey: false });
  expect(foreign.detail).toContain(
    "answered 413 with text/html instead. The stack is larger than it lets through",
  );
  expect(readProblem(200, "text/html", "<html>Log in").detail).toContain("It may want a login");
});

test("numbers are short and keep their sign", () => {
  expect([short(0), short(0.000012), short(12345), signed(-0.5), signed(2)]).toEqual([
    "0",
    "1.20e-5",
    "12300",
    "−0.5",
    "+2",
  ]);
});
