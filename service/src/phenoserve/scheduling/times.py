"""Where the time of a request went."""

from dataclasses import dataclass


@dataclass
class StageTimes:
    """Where the time of one request went, in seconds, summed over its stacks.

    Attributes:
        decode_s: Reading the TIFFs.
        queue_s: Waiting, for a thread that decodes and for a worker.
        inference_s: The graph and the forest, for the whole batch that a stack was in.
    """

    decode_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0

    def by_stage(self) -> dict[str, float]:
        """Seconds by the name of the stage."""
        return {"decode": self.decode_s, "queue": self.queue_s, "inference": self.inference_s}

    def server_timing(self) -> str:
        """The times as a `Server-Timing` header, in milliseconds."""
        return ", ".join(f"{stage};dur={1e3 * seconds:.2f}" for stage, seconds in self.by_stage().items())
