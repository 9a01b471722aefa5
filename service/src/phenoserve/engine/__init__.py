"""The engine: runs a bundle's graph and forest on raw stacks, for the service and for training's checks."""

from phenoserve.engine.engine import Engine, record_golden
from phenoserve.engine.errors import (
    DeviceUnavailableError,
    EngineError,
    GraphError,
    NonFiniteAnswerError,
    StackMismatchError,
)
from phenoserve.engine.graph import Graph
from phenoserve.engine.precision import WantedPrecision
from phenoserve.engine.session import RUNTIME_VERSION, ActiveDevice, Device

__all__ = [
    "RUNTIME_VERSION",
    "ActiveDevice",
    "Device",
    "DeviceUnavailableError",
    "Engine",
    "EngineError",
    "Graph",
    "GraphError",
    "NonFiniteAnswerError",
    "StackMismatchError",
    "WantedPrecision",
    "record_golden",
]
