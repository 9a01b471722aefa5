"""Every request has an id and a line in the log."""

import logging
import re
import signal

import pytest

from phenoserve.http import create_app
from phenoserve.http.observe.requests import REQUEST_ID, SOUND_ID
from phenoserve.logs import request_id
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import encode_tiff

pytestmark = pytest.mark.anyio
TIFF = {"content-type": "image/tiff"}


def lines(caplog) -> list[dict]:
    return [vars(record) for record in caplog.records if record.name == "phenoserve.http.observe.access_log"]


async def test_every_answer_carries_an_id(ask) -> None:
    """Each answer, error or not, has an id of its own; a sound one that the client sent is kept."""
    async with ask() as client:
        answers = [await client.get(path) for path in ("/livez", "/livez", "/nothing", "/", "/docs")]
        ids = [answer.headers[REQUEST_ID] for answer in answers]
        assert len(set(ids)) == len(ids)
        assert all(SOUND_ID.fullmatch(its_id) for its_id in ids)
        for asked, is_kept in {"plate-7.A01": True, "x" * 65: False, "two words": False, '"}': False}.items():
            answer = await client.get("/livez", headers={REQUEST_ID: asked})
            assert (answer.headers[REQUEST_ID] == asked) is is_kept


async def test_a_request_is_one_line_with_its_numbers(ask, array, caplog) -> None:
    """The log has one line a request: route, status, bytes both ways, and milliseconds of each stage."""
    tiff = encode_tiff(array)
    with caplog.at_level(logging.INFO):
        async with ask() as client:
            answer = await client.post("/predict?channels=", content=tiff, headers=TIFF)
            assert answer.status_code == 400
            answer = await client.post("/predict", content=tiff, headers=TIFF)
            await client.get("/no/such/path")
    refused, answered, unmatched = lines(caplog)
    assert refused["status"] == 400
    assert "decode_ms" not in refused
    told = {name: answered[name] for name in ("method", "route", "status", "received_bytes", "sent_bytes")}
    assert told == {
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "received_bytes": len(tiff),
        "sent_bytes": len(answer.content),
    }
    sent = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    assert {stage: answered[f"{stage}_ms"] for stage in sent} == {
        stage: float(milliseconds) for stage, milliseconds in sent.items()
    }
    assert answered["total_ms"] >= max(float(milliseconds) for milliseconds in sent.values()) > 0
    assert (unmatched["route"], unmatched["status"]) == ("unmatched", 404)


async def test_nothing_that_was_sent_is_logged(ask, array, caplog, tmp_path) -> None:
    """Neither key nor query nor path nor a file's name nor pixels stand anywhere in what is logged."""
    with caplog.at_level(logging.DEBUG):
        async with ask() as client:
            await client.post(
                "/explain?treatment=whispered",
                files={"stack": ("patient-0815.tif", b"II*\0secret pixels", "image/tiff")},
                headers={"x-api-key": "hush"},
            )
            await client.get("/patient/0815", headers={"authorization": "Bearer hush"})
    own = [vars(record) for record in caplog.records if record.name.startswith(("phenoserve", "uvicorn"))]
    assert len(own) >= 2
    for word in ("whispered", "0815", "secret", "hush"):
        assert word not in str(own)


def test_a_signal_does_not_speak_for_the_request_it_came_in_on(engine, listen, monkeypatch) -> None:
    """What the service says of SIGTERM has no request's id, though the signal interrupts a task that answers one."""
    ids: dict[str, str | None] = {}

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ids[record.getMessage()] = request_id.get()

    logger, notes = logging.getLogger("phenoserve.process.server"), Notes()
    monkeypatch.setattr(logger, "handlers", [notes])
    monkeypatch.setattr(logger, "level", logging.INFO)
    with listen(create_app(Engines.of(engine), Settings(port=0)), drain_s=0) as listening:
        token = request_id.set("of-a-request")
        listening.stop(signal.SIGTERM)
        request_id.reset(token)
    assert ids == {"SIGTERM: not ready any more, closing in 0 s": None}
