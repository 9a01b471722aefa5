"""Engines that answer as the real one does, once a test lets them, or fail as a test wants."""

import threading

import numpy as np

from phenoserve.bundle.outputs import Outputs
from phenoserve.engine import Engine

POISON = 77
"""First pixel of a stack that `PoisonedEngine` fails on."""


class HeldEngine(Engine):
    """Outputs only while its gate is open; knows what it was asked."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.bundle, engine._graph)
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[np.ndarray] = []

    @property
    def num_asked(self) -> int:
        """Batches it was asked so far."""
        return len(self.asked)

    def infer(self, stacks: np.ndarray) -> Outputs:
        """The parent's answer, after the gate opens."""
        self.asked.append(stacks)
        if not self.gate.wait(30):
            raise TimeoutError
        return super().infer(stacks)


class PoisonedEngine(HeldEngine):
    """Fails on every batch with a poisoned stack in it, with `error`."""

    error: type[BaseException] = ZeroDivisionError

    def infer(self, stacks: np.ndarray) -> Outputs:
        """The parent's answer, unless there is poison."""
        answers = super().infer(stacks)
        if (stacks[:, 0, 0, 0] == POISON).any():
            raise self.error("poison")
        return answers
