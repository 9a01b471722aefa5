"""One line of the log for each request: what was asked and answered, never what was sent."""

import logging

from opentelemetry import trace

from phenoserve.http.observe.requests import FinishedRequest

logger = logging.getLogger(__name__)


def log_request(request: FinishedRequest) -> None:
    """Log a request that is over."""
    fields: dict[str, str | int | float] = {
        "method": request.method,
        "route": request.route,
        "status": request.status,
        "received_bytes": request.received_bytes,
        "sent_bytes": request.sent_bytes,
        "total_ms": _ms(request.seconds),
    }
    if request.times is not None:
        fields |= {f"{stage}_ms": _ms(seconds) for stage, seconds in request.times.by_stage().items()}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"] = trace.format_trace_id(span.trace_id)
    logger.info(
        "%s %s %d in %.1f ms", request.method, request.route, request.status, fields["total_ms"], extra=fields
    )


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 2)
