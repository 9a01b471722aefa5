"""BentoML: `python bentoml_peer.py BUNDLE PORT WORKERS THREADS` starts its server on this file's service."""

import os
import runpy
import sys
from pathlib import Path

import bentoml
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

if __name__ != "__main__":
    from model import load

    predict = load(Path(os.environ["PEER_BUNDLE"]), int(os.environ["PEER_THREADS"]))

    async def post(request: Request) -> JSONResponse:
        """The logits of one stack."""
        return JSONResponse(await run_in_threadpool(predict, await request.body()))

    @bentoml.service(workers=int(os.environ["PEER_WORKERS"]))
    @bentoml.asgi_app(Starlette(routes=[Route("/predict", post, methods=["POST"])]))
    class Stacks:
        """Holds the application."""

else:
    bundle, port, num_workers, num_threads = sys.argv[1:]
    os.environ |= {
        "PEER_BUNDLE": str(Path(bundle).resolve()),
        "PEER_WORKERS": num_workers,
        "PEER_THREADS": num_threads,
        "BENTOML_DO_NOT_TRACK": "true",
    }
    sys.argv = ["bentoml", "serve", "bentoml_peer:Stacks", "--port", port]
    os.chdir(Path(__file__).parent)
    runpy.run_module("bentoml", run_name="__main__")
