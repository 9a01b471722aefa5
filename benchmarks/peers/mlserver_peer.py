"""MLServer with a custom handler and a thread pool: `python mlserver_peer.py BUNDLE PORT WORKERS THREADS`."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler
from model import load

bundle, port, num_workers, num_threads = Path(sys.argv[1]), *map(int, sys.argv[2:])


class Stacks(MLModel):
    """Bytes of a TIFF to the logits of its stack."""

    async def load(self) -> bool:
        """Load the graph."""
        self.model, self.pool = load(bundle, num_threads), ThreadPoolExecutor(num_workers)
        return True

    @custom_handler(rest_path="/predict")
    async def post(self, request: Request) -> Response:
        """The logits of one stack."""
        tiff = await request.body()
        return JSONResponse(await asyncio.get_running_loop().run_in_executor(self.pool, self.model, tiff))


settings = Settings(
    parallel_workers=0,
    host="127.0.0.1",
    http_port=port,
    grpc_port=port + 1,
    metrics_port=port + 2,
    debug=False,
)
asyncio.run(MLServer(settings).start([ModelSettings(name="stacks", implementation=Stacks)]))
