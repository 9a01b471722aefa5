import { UnshowableError } from "./unshowable";

/**
 * Stands in the bundle where geotiff.js has decoders of codecs that the service refuses, or that the page decodes by
 * other means (see vite.config.ts).
 */
export default class UnreadCodec {
  constructor() {
    throw new UnshowableError("It is compressed with a codec that is not read.");
  }
}
