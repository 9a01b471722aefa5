"""The log: a JSON object a line, or text for a terminal."""

import logging
import sys
from contextvars import ContextVar
from typing import Final, Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from phenoserve.settings import Settings

request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""Id of the request that the current task answers; None outside of any."""

CHATTY: Final = ("tifffile", "python_multipart")
"""They log every oddity of every upload; what matters of it is in the answer."""


def log_form(settings: Settings) -> Literal["json", "text"]:
    """The form of a line: what the settings say, or what suits where the log goes."""
    if settings.log_format == "auto":
        return "text" if sys.stderr.isatty() else "json"
    return settings.log_format


def set_up_logging(settings: Settings) -> None:
    """Send every library's log to the standard error, in one form."""
    handler = logging.StreamHandler()
    handler.addFilter(_add_request_id)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        if log_form(settings) == "text"
        else JsonFormatter(
            ["levelname", "name", "process", "message"],
            rename_fields={"levelname": "level", "name": "logger", "process": "pid", "exc_info": "exception"},
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's message again, for a terminal
            timestamp="time",
        )
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _add_request_id(record: logging.LogRecord) -> bool:
    its_id = request_id.get()
    if its_id is not None:
        record.request_id = its_id
    return True
