"""Traces: a request's spans, in the trace that the client began."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import asking, encode_tiff

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.anyio
async def test_a_request_is_a_trace_of_its_stages(engine, array, caplog) -> None:
    """A request's span continues `traceparent` and holds body, queue, decode, inference and encode of each stack."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = create_app(Engines.of(engine), Settings(), tracer_provider=provider)
    caplog.set_level("INFO")
    async with asking(app) as client:
        answer = await client.post(
            "/predict",
            files=[("stack", encode_tiff(array))] * 2,
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        assert answer.status_code == 200
    spans = exporter.get_finished_spans()
    (whole,) = [span for span in spans if span.name == "POST /predict"]
    assert f"{whole.context.trace_id:032x}" == TRACE
    assert f"{whole.parent.span_id:016x}" == PARENT
    stages = [span for span in spans if span is not whole]
    names = sorted(span.name for span in stages)
    assert names == sorted(["body", *["queue", "decode", "queue", "inference", "encode"] * 2])
    for span in stages:
        assert span.parent.span_id == whole.context.span_id
        assert whole.start_time - 1e6 <= span.start_time <= span.end_time <= whole.end_time + 1e6
    assert all(span.attributes["batch_size"] == 1 for span in stages if span.name == "inference")
    assert TRACE in {vars(record).get("trace_id") for record in caplog.records}


def test_without_an_endpoint_no_sdk_is_imported(tiny_bundle) -> None:
    """A service whose environment names no endpoint loads neither the SDK nor an exporter."""
    program = (
        "import asyncio, sys; from pathlib import Path; from phenoserve.bundle import read_bundle;"
        "from phenoserve.http import create_app; from phenoserve.scheduling import load_engines;"
        "from phenoserve.settings import Settings; settings = Settings(device='cpu');"
        f"app = create_app(load_engines(read_bundle(Path({str(tiny_bundle)!r})), settings), settings);\n"
        "async def live():\n  async with app.router.lifespan_context(app): pass\n"
        "asyncio.run(live())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout == "[]\n"
