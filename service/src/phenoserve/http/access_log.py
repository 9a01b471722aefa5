"""One line of the log for each request: what was asked and answered, never what was sent."""

import logging

from opentelemetry import trace

from phenoserve.http.exchange import Exchange

logger = logging.getLogger(__name__)


def log_exchange(exchange: Exchange) -> None:
    """Log a request that is over."""
    told: dict[str, str | int | float] = {
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "received_bytes": exchange.received_bytes,
        "sent_bytes": exchange.sent_bytes,
        "total_ms": _ms(exchange.seconds),
    }
    if exchange.times is not None:
        told |= {f"{stage}_ms": _ms(seconds) for stage, seconds in exchange.times.by_stage().items()}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        told["trace_id"] = trace.format_trace_id(span.trace_id)
    logger.info(
        "%s %s %d in %.1f ms", exchange.method, exchange.route, exchange.status, told["total_ms"], extra=told
    )


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 2)
