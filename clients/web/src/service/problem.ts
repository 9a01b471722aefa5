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
    return this.code === "key_missing" || this.isKeyRefused;
  }

  /** A key was sent, but it is not known or does not open this. */
  get isKeyRefused(): boolean {
    return this.code === "key_wrong" || this.code === "key_insufficient";
  }
}

const LOG_IN = "It may want a login: open the page anew, or ask whoever runs the proxy or gateway.";
const IS_DOWN = "The service behind it may be down or slow: try again, or ask whoever runs it.";

/** What to do about an answer of something in between, by its status. */
const ADVICE: Record<number, string> = {
  200: LOG_IN,
  401: LOG_IN,
  403: LOG_IN,
  407: LOG_IN,
  413: "The stack is larger than it lets through: ask whoever runs the proxy or gateway for a higher limit.",
  502: IS_DOWN,
  503: IS_DOWN,
  504: IS_DOWN,
};

/** Reads an answer that is not what was asked for: the service's error, or what a proxy in between says instead. */
export function readProblem(status: number, contentType: string, body: string): Problem {
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
    `Something between this page and the service answered ${status} with ${contentType || "no content type"} instead. ` +
      (ADVICE[status] ?? "Ask whoever runs the proxy or gateway in between."),
    null,
    status,
  );
}
