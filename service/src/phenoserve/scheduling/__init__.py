"""Schedules stacks onto engines: what is let in, what waits, what runs together, and whether the service is ready."""

from phenoserve.scheduling.admission import Admission, Lease
from phenoserve.scheduling.engines import Engines, load_engines
from phenoserve.scheduling.errors import (
    DeadlineError,
    FullError,
    SchedulingError,
    StoppedError,
    WorkerDiedError,
)
from phenoserve.scheduling.plan import Plan
from phenoserve.scheduling.scheduler import Readiness, Scheduler
from phenoserve.scheduling.times import StageTimes
from phenoserve.scheduling.work import Outcome, Work
from phenoserve.scheduling.workers import JOIN_LIMIT_S

__all__ = [
    "JOIN_LIMIT_S",
    "Admission",
    "DeadlineError",
    "Engines",
    "FullError",
    "Lease",
    "Outcome",
    "Plan",
    "Readiness",
    "Scheduler",
    "SchedulingError",
    "StageTimes",
    "StoppedError",
    "Work",
    "WorkerDiedError",
    "load_engines",
]
