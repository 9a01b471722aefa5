/** Thrown where a file holds what the page cannot show; the service may read it all the same. */
export class UnshowableError extends Error {}
