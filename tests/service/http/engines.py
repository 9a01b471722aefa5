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


class SteppedEngine(Engine):
    """Holds what begins, from the first `step` on, until the next one; knows what it was asked."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.bundle, engine._graph)
        self.held: list[np.ndarray] = []
        self._gate = threading.Event()
        self._gate.set()
        self._lock = threading.Lock()

    def step(self) -> None:
        """Let go of what is held, and hold what begins from now on."""
        with self._lock:
            self._gate.set()
            self._gate = threading.Event()
            self.held = []

    def run_free(self) -> None:
        """Let go of what is held, and hold nothing more."""
        with self._lock:
            self._gate.set()

    def infer(self, stacks: np.ndarray) -> Outputs:
        """The parent's answer, once nothing holds it."""
        with self._lock:
            gate = self._gate
            if not gate.is_set():
                self.held.append(stacks)
        if not gate.wait(30):
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
