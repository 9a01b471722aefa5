/** What went wrong, in words fit for the reader: the service's own (RFC 9457), or the page's where it asked nobody. */
export class Problem extends Error {
  constructor(
    readonly title: string,
    readonly detail: string,
    readonly code: string | null = null,
    readonly status: number | null = null,
    readonly incident: string | null = null,
  ) {
    super(`${title}: ${detail}`);
  }

  get needsKey(): boolean {
    return this.code === "key_missing" || this.code === "key_wrong";
  }
}

/** Reads the body of an error; a proxy in between may answer with something else. */
export function readProblem(status: number, body: string): Problem {
  try {
    const told = JSON.parse(body) as Record<string, unknown>;
    if (typeof told.title === "string" && typeof told.detail === "string" && typeof told.code === "string") {
      const incident = typeof told.incident === "string" ? told.incident : null;
      return new Problem(told.title, told.detail, told.code, status, incident);
    }
  } catch {
    // No JSON: told below, as any other body that is not a problem.
  }
  return new Problem(
    "The answer is not the service's",
    `Status ${status} came without a problem in it.`,
    null,
    status,
  );
}
