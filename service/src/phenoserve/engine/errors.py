"""Why the engine cannot load or answer.

* EngineError
  x DeviceUnavailableError
  x GraphError
  x StackMismatchError
  x NonFiniteAnswerError
"""


class EngineError(Exception):
    """The engine cannot load or answer; the message says what was found, what was expected, and the fix."""


class DeviceUnavailableError(EngineError):
    """Raised when `cuda` is asked for and cannot be had."""


class GraphError(EngineError):
    """Raised when ONNX Runtime cannot load or run the graph, or it is not a graph of the format."""


class StackMismatchError(EngineError, ValueError):
    """Raised when stacks have a pixel type, a number of channels or a size the graph does not take."""


class NonFiniteAnswerError(EngineError):
    """Raised when an intensity or an output is not finite, or too large to compute with."""
