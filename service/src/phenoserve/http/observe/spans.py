"""Spans of a request's stages, which run on several threads and are known only once they are over."""

import time

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Tracer


def add_span(
    tracer: Tracer, stage: str, began: float, ended: float, context: Context | None = None, **attributes: int
) -> None:
    """Add the span of a stage that is over to the trace of its request, if that is recorded.

    Args:
        tracer: Makes the span.
        stage: Its name.
        began: On the clock of `time.perf_counter`, in seconds.
        ended: On the same clock.
        context: Of the request, where the caller runs on another thread; the current one by default.
        attributes: What else is known.
    """
    if not trace.get_current_span(context).is_recording():
        return
    epoch_s = time.time() - time.perf_counter()
    span = tracer.start_span(
        stage, context, start_time=int((epoch_s + began) * 1e9), attributes=dict(attributes)
    )
    span.end(int((epoch_s + ended) * 1e9))
