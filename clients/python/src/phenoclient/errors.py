"""Everything phenoclient raises on purpose.

The tree:

* PhenoclientError
  x StackArgumentError (also a ValueError)
  x PlateError (also a ValueError)
  x SettingsError (also a ValueError)
  x ClosedClientError (also a RuntimeError)
  x TransportError
    + ServiceUnreachableError
    + ServiceTimeoutError
  x UnreadableAnswerError
  x ServiceError
    + RequestRefusedError
      - MalformedRequestError
        · UnknownNameError
      - KeyMissingError
      - KeyRefusedError
      - NoSuchRouteError
      - MethodNotAllowedError
      - NotAcceptableError
      - UploadTooSlowError
      - TooLargeError
      - UnsupportedMediaError
      - UnusableStackError
        · AmbiguousChannelsError
      - BundleRefusedError
      - KeyFileRefusedError
      - OverloadedError
    + ServiceFailureError
      - InternalServiceError
      - ServiceUnavailableError

`ServiceError` and what hangs below it stand for an error answer of the service; the `code` in the answer
chooses the class (`phenoclient.problems`). A code this client does not know gives `RequestRefusedError` for a
status of 4xx and `ServiceFailureError` for 5xx, so that code written today keeps working with tomorrow's
service.
"""

import httpx


class PhenoclientError(Exception):
    """The base of every error that phenoclient raises on purpose."""


class StackArgumentError(PhenoclientError, ValueError):
    """What was passed as a stack, its files or its channels cannot be sent; raised before any request is made."""


class PlateError(PhenoclientError, ValueError):
    """A plate's folder, layout, stains, plate map, journal or results do not fit; its message says which and why."""


class SettingsError(PhenoclientError, ValueError):
    """The address, the key, or the proxy or certificates that the environment names cannot be used."""


class ClosedClientError(PhenoclientError, RuntimeError):
    """A client was used after it had been closed."""


class TransportError(PhenoclientError):
    """No answer came back from the service."""


class ServiceUnreachableError(TransportError):
    """The service could not be connected to, or the connection broke before an answer was complete."""


class ServiceTimeoutError(TransportError):
    """The service did not answer within the client's timeout."""


class UnreadableAnswerError(PhenoclientError):
    """An answer came that is not what phenoserve answers: another kind of server, or an incompatible version.

    Attributes:
        response: The answer as received.
    """

    def __init__(self, message: str, *, response: httpx.Response) -> None:
        super().__init__(message)
        self.response = response


class ServiceError(PhenoclientError):
    """The service answered with an error.

    Attributes:
        status: HTTP status of the answer.
        code: The service's stable name of the error; None when the answer has none (a proxy's answer, say).
        title: The error in general, as the service words it; None when the answer has none.
        detail: What was wrong this time, as the service words it; None when the answer has none.
        incident: Number under which the service's log holds an internal failure; None for every other error.
        retry_after_s: Seconds after which the service asks to be tried again; None when it does not.
        response: The answer as received.
    """

    def __init__(
        self,
        *,
        response: httpx.Response,
        code: str | None = None,
        title: str | None = None,
        detail: str | None = None,
        incident: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.status = response.status_code
        self.code = code
        self.title = title
        self.detail = detail
        self.incident = incident
        self.retry_after_s = retry_after_s
        self.response = response
        super().__init__(self._message())

    def _message(self) -> str:
        what = self.detail or self.title or self.response.reason_phrase or "no reason given"
        if self.code is None:
            return (
                f"{self.status} {what}, from something between this client and the service, as it is no answer of "
                "phenoserve's. Expected the service itself: check the base URL and the proxies on the way (HTTP_PROXY, "
                "HTTPS_PROXY, ALL_PROXY; NO_PROXY for hosts to be asked directly)."
            )
        name = f"{self.status} {self.code}" if self.code else f"{self.status}"
        incident = f" (incident {self.incident})" if self.incident else ""
        return f"{name}: {what}{incident}"


class RequestRefusedError(ServiceError):
    """The service refused the request: a status of 4xx."""


class MalformedRequestError(RequestRefusedError):
    """The request itself is wrong: its form, or a query parameter (400)."""


class UnknownNameError(MalformedRequestError):
    """A treatment or a stain was named that the bundle does not know (400)."""


class KeyMissingError(RequestRefusedError):
    """The service asks for an API key and the request carried none (401)."""


class KeyRefusedError(RequestRefusedError):
    """The service does not know the API key of the request (401), or it opens other routes (403)."""


class NoSuchRouteError(RequestRefusedError):
    """The service has no such route: most likely a wrong base URL (404)."""


class MethodNotAllowedError(RequestRefusedError):
    """The route exists but not for this HTTP method (405)."""


class NotAcceptableError(RequestRefusedError):
    """The service cannot give this answer in the form asked for (406)."""


class UploadTooSlowError(RequestRefusedError):
    """The stack or the head of its request did not arrive within the time that the service grants (408)."""


class TooLargeError(RequestRefusedError):
    """The stack (413: in bytes or decoded pixels) or the request's head (431) is larger than the service takes."""


class UnsupportedMediaError(RequestRefusedError):
    """What was sent is not a TIFF, or uses a compression that the service does not read (415)."""


class UnusableStackError(RequestRefusedError):
    """What was sent is a TIFF, but not a stack that the bundle can answer (422)."""


class AmbiguousChannelsError(UnusableStackError):
    """The file's names of its channels contradict the bundle's order and do not say another (422)."""


class BundleRefusedError(RequestRefusedError):
    """The service was asked to load its bundle again, and refused the one it found (422)."""


class KeyFileRefusedError(RequestRefusedError):
    """The service was asked to read its files of keys again, and refused what it found (422)."""


class OverloadedError(RequestRefusedError):
    """The service has no room for another request now, and retrying did not help (429)."""


class ServiceFailureError(ServiceError):
    """The service, or something before it, failed: a status of 5xx."""


class InternalServiceError(ServiceFailureError):
    """The service failed inside; `incident` finds it in the service's log (500)."""


class ServiceUnavailableError(ServiceFailureError):
    """The service is not ready, was too slow or lost the stack's worker, and retrying did not help (503)."""
