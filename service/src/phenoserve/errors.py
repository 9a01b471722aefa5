"""Every error the service can answer: one table from a stable code to its HTTP status and title.

A code is part of the API and never changes its meaning; `docs/http-api.md` lists them all. Whoever raises
names the code and says what was passed, what was expected and how to fix it; the HTTP layer looks the status
up here.

The tree:

* ServiceError              any answer that is not 2xx, with its code
  + stack.StackError        the bytes are not a usable stack (codes of 413, 415 and 422)
  + http.problems.RequestError   everything else about a request, with the headers the answer needs
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ErrorCode(StrEnum):
    """Stable machine-readable name of one kind of error, the `code` of a problem body."""

    MALFORMED_REQUEST = "malformed_request"
    INVALID_PARAMETER = "invalid_parameter"
    UNKNOWN_TREATMENT = "unknown_treatment"
    UNKNOWN_CHANNELS = "unknown_channels"
    KEY_MISSING = "key_missing"
    KEY_WRONG = "key_wrong"
    KEY_INSUFFICIENT = "key_insufficient"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    HEAD_TOO_SLOW = "head_too_slow"
    BODY_TOO_SLOW = "body_too_slow"
    BODY_TOO_LARGE = "body_too_large"
    STACK_TOO_LARGE = "stack_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    NOT_A_TIFF = "not_a_tiff"
    UNSUPPORTED_CODEC = "unsupported_codec"
    DAMAGED_TIFF = "damaged_tiff"
    UNSUPPORTED_PIXELS = "unsupported_pixels"
    UNSUPPORTED_LAYOUT = "unsupported_layout"
    WRONG_CHANNELS = "wrong_channels"
    AMBIGUOUS_CHANNELS = "ambiguous_channels"
    FIELD_TOO_SMALL = "field_too_small"
    NON_FINITE_PIXELS = "non_finite_pixels"
    DEVIATION_TOO_SMALL = "deviation_too_small"
    NO_FINITE_ANSWER = "no_finite_answer"
    BUNDLE_REFUSED = "bundle_refused"
    KEY_FILE_REFUSED = "key_file_refused"
    TOO_MANY_REQUESTS = "too_many_requests"
    HEAD_TOO_LARGE = "head_too_large"
    INTERNAL_ERROR = "internal_error"
    NOT_READY = "not_ready"
    DEADLINE_PASSED = "deadline_passed"
    WORKER_DIED = "worker_died"


@dataclass(frozen=True)
class ErrorKind:
    """What a code means over HTTP.

    Attributes:
        status: HTTP status of the answer.
        title: Short sentence, the same for every occurrence of the code.
    """

    status: int
    title: str


ERRORS: MappingProxyType[ErrorCode, ErrorKind] = MappingProxyType(
    {
        ErrorCode.MALFORMED_REQUEST: ErrorKind(400, "The request cannot be understood"),
        ErrorCode.INVALID_PARAMETER: ErrorKind(400, "A parameter has an impossible value"),
        ErrorCode.UNKNOWN_TREATMENT: ErrorKind(400, "The bundle knows no such treatment"),
        ErrorCode.UNKNOWN_CHANNELS: ErrorKind(400, "The channel order does not name the bundle's stains"),
        ErrorCode.KEY_MISSING: ErrorKind(401, "An API key is needed"),
        ErrorCode.KEY_WRONG: ErrorKind(401, "The API key is not known"),
        ErrorCode.KEY_INSUFFICIENT: ErrorKind(403, "The API key does not open this"),
        ErrorCode.NOT_FOUND: ErrorKind(404, "There is nothing at this address"),
        ErrorCode.METHOD_NOT_ALLOWED: ErrorKind(405, "The address does not answer this method"),
        ErrorCode.NOT_ACCEPTABLE: ErrorKind(406, "None of the accepted media types can be given"),
        ErrorCode.HEAD_TOO_SLOW: ErrorKind(408, "The head of the request did not arrive in time"),
        ErrorCode.BODY_TOO_SLOW: ErrorKind(408, "The body did not arrive in time"),
        ErrorCode.BODY_TOO_LARGE: ErrorKind(413, "The body is too large"),
        ErrorCode.STACK_TOO_LARGE: ErrorKind(413, "The stack is too large once decoded"),
        ErrorCode.UNSUPPORTED_MEDIA_TYPE: ErrorKind(415, "The body's media type is not read"),
        ErrorCode.NOT_A_TIFF: ErrorKind(415, "The body is not a TIFF"),
        ErrorCode.UNSUPPORTED_CODEC: ErrorKind(415, "The TIFF is compressed with a codec that is not read"),
        ErrorCode.DAMAGED_TIFF: ErrorKind(422, "The TIFF is damaged"),
        ErrorCode.UNSUPPORTED_PIXELS: ErrorKind(422, "The TIFF's pixels are of a kind that is not read"),
        ErrorCode.UNSUPPORTED_LAYOUT: ErrorKind(422, "The TIFF is not one stack of channels"),
        ErrorCode.WRONG_CHANNELS: ErrorKind(422, "The stack does not have the bundle's channels"),
        ErrorCode.AMBIGUOUS_CHANNELS: ErrorKind(422, "The file leaves open which stain each channel is"),
        ErrorCode.FIELD_TOO_SMALL: ErrorKind(422, "The field is smaller than the network can see"),
        ErrorCode.NON_FINITE_PIXELS: ErrorKind(422, "The stack has pixels that are not finite"),
        ErrorCode.DEVIATION_TOO_SMALL: ErrorKind(422, "The stack's float pixels differ too little"),
        ErrorCode.NO_FINITE_ANSWER: ErrorKind(422, "The stack's intensities give no finite answer"),
        ErrorCode.BUNDLE_REFUSED: ErrorKind(422, "The new bundle is refused, and the old one serves on"),
        ErrorCode.KEY_FILE_REFUSED: ErrorKind(422, "The new file of keys is refused, and the old keys stand"),
        ErrorCode.TOO_MANY_REQUESTS: ErrorKind(429, "The service is at its limit of requests"),
        ErrorCode.HEAD_TOO_LARGE: ErrorKind(431, "The head of the request is too large"),
        ErrorCode.INTERNAL_ERROR: ErrorKind(500, "The service failed"),
        ErrorCode.NOT_READY: ErrorKind(503, "The service is not ready"),
        ErrorCode.DEADLINE_PASSED: ErrorKind(503, "The answer was not there in time"),
        ErrorCode.WORKER_DIED: ErrorKind(503, "The worker that held the stack died"),
    }
)


class ServiceError(Exception):
    """An error with a stable code and a message fit for whoever sent the request.

    It deliberately does not derive from ValueError or RuntimeError, so that no handler of a library's errors
    can swallow it.

    Attributes:
        code: Key of `ERRORS`.
        detail: What was passed, what was expected, how to fix it.
    """

    code: ErrorCode = ErrorCode.INTERNAL_ERROR

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
