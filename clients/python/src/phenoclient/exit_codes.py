"""What the command's exit status says. `docs/client.md` lists the same table."""

from enum import IntEnum

from phenoclient.errors import (
    ClosedClientError,
    OverloadedError,
    PhenoclientError,
    PlateError,
    RequestRefusedError,
    ServiceFailureError,
    ServiceTimeoutError,
    ServiceUnavailableError,
    ServiceUnreachableError,
    SettingsError,
    StackArgumentError,
    UnreadableAnswerError,
)


class ExitCode(IntEnum):
    """Exit statuses of `phenoclient`; 1 is left to whatever is not foreseen."""

    ANSWERED = 0
    USAGE = 2
    FILE = 3
    REFUSED = 4
    FAILED = 5
    BUSY = 6
    UNREACHABLE = 7
    TIMEOUT = 8
    NOT_UNDERSTOOD = 9
    SITES_FAILED = 10
    INTERRUPTED = 130


EXIT_CODES: tuple[tuple[type[PhenoclientError], ExitCode], ...] = (
    (StackArgumentError, ExitCode.FILE),
    (PlateError, ExitCode.FILE),
    (SettingsError, ExitCode.USAGE),
    (ClosedClientError, ExitCode.USAGE),
    (OverloadedError, ExitCode.BUSY),
    (ServiceUnavailableError, ExitCode.BUSY),
    (RequestRefusedError, ExitCode.REFUSED),
    (ServiceFailureError, ExitCode.FAILED),
    (ServiceUnreachableError, ExitCode.UNREACHABLE),
    (ServiceTimeoutError, ExitCode.TIMEOUT),
    (UnreadableAnswerError, ExitCode.NOT_UNDERSTOOD),
)
"""Exit status of each error; the first class that fits decides, so the narrower ones come first."""


def exit_code_of(error: PhenoclientError) -> ExitCode:
    """The exit status for an error that ended the command."""
    return next(code for error_class, code in EXIT_CODES if isinstance(error, error_class))
