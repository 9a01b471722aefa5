"""Why a stack that was let in, or was to be, gets no answer.

* SchedulingError
  x FullError
  x DeadlineError
  x WorkerDiedError
  x StoppedError
"""


class SchedulingError(Exception):
    """A stack gets no answer though nothing is wrong with it; the message says why."""


class FullError(SchedulingError):
    """Raised when a request would go beyond a limit of requests, bytes or waiting stacks."""


class DeadlineError(SchedulingError):
    """Raised when the deadline of a request passes before its answer is there."""


class WorkerDiedError(SchedulingError):
    """Raised for what a worker held when it died, and for what waits when no worker is left."""


class StoppedError(SchedulingError):
    """Raised for what still waits, or is between two passes, when the service ends."""
