"""LitServe, a process a worker: `python litserve_peer.py BUNDLE PORT WORKERS THREADS`."""

import sys
from pathlib import Path
from typing import Annotated

import litserve
from fastapi import Body
from model import load


class StackApi(litserve.LitAPI):
    """Bytes of a TIFF to the logits of its stack."""

    def setup(self, device: str) -> None:
        """Load the graph in the worker."""
        del device
        self.model = load(Path(sys.argv[1]), int(sys.argv[4]))

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        """Take the body as it is."""
        return request

    def predict(self, tiff: bytes) -> dict[str, list[float]]:
        """Run the graph."""
        return self.model(tiff)

    def encode_response(self, output: dict[str, list[float]]) -> dict[str, list[float]]:
        """Answer as it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        StackApi(api_path="/predict"), accelerator="cpu", workers_per_device=int(sys.argv[3])
    )
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
