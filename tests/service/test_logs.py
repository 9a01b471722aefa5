"""Lines of the log, written by a process of their own."""

import json
import os
import pty
import subprocess
import sys

from phenoserve.settings import Settings

PROGRAM = """
import logging, warnings
from phenoserve.logs import request_id, set_up_logging
from phenoserve.settings import Settings

set_up_logging(Settings())
logging.getLogger("uvicorn.error").info("Started\\nserver")
request_id.set("abc")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("phenoserve").exception("It failed", extra={"status": 500})
warnings.warn("old", UserWarning)
logging.getLogger("tifffile").error("an oddity")
"""


def run(stderr: int, **settings: str) -> subprocess.CompletedProcess:
    environment = os.environ | {f"PHENOSERVE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, stderr=stderr, env=environment, text=True, check=True, timeout=60)


def test_every_line_is_an_object() -> None:
    """Lines of any library, of warnings and of failures are one JSON object each, with time, level and logger."""
    started, failed, warned = [json.loads(line) for line in run(subprocess.PIPE).stderr.splitlines()]
    told = (started["level"], started["logger"], started["message"])
    assert told == ("INFO", "uvicorn.error", "Started\nserver")
    assert "request_id" not in started
    assert (failed["request_id"], failed["status"]) == ("abc", 500)
    assert "ZeroDivisionError" in failed["exception"]
    assert warned["level"] == "WARNING"
    assert all(line["time"].endswith("+00:00") for line in (started, failed, warned))


def test_text_is_for_terminals() -> None:
    """On a terminal lines are text, unless JSON is asked for; elsewhere they are text only if that is asked for."""
    assert Settings().log_format == "auto"
    for log_format, is_json in {"auto": False, "json": True}.items():
        leader, follower = pty.openpty()
        run(follower, log_format=log_format, log_level="error")
        os.close(follower)
        with os.fdopen(leader, "rb", buffering=0) as terminal:
            assert terminal.read(4096).startswith(b"{") is is_json
    first = run(subprocess.PIPE, log_format="text").stderr.splitlines()[0]
    assert first.endswith("INFO uvicorn.error: Started")
