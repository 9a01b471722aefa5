"""Ray Serve, a process a worker: `python ray_peer.py BUNDLE PORT WORKERS THREADS`."""

import sys
import threading
from pathlib import Path

from ray import serve
from starlette.requests import Request

bundle, port, num_workers, num_threads = Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:])
here = str(Path(__file__).parent)


@serve.deployment(num_replicas=num_workers, max_ongoing_requests=16, ray_actor_options={"num_cpus": 0.5})
class Stacks:
    """Bytes of a TIFF to the logits of its stack."""

    def __init__(self) -> None:
        sys.path.append(here)
        from model import load

        self.model = load(bundle, num_threads)

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        """The logits of one stack."""
        return self.model(await request.body())


serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(Stacks.bind(), route_prefix="/predict")
threading.Event().wait()
