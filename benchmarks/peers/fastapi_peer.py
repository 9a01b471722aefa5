"""Plain FastAPI on uvicorn, with a thread pool: `python fastapi_peer.py BUNDLE PORT WORKERS THREADS`."""

import sys
from asyncio import get_running_loop
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from model import load

bundle, port, num_workers, num_threads = Path(sys.argv[1]), *map(int, sys.argv[2:])
predict = load(bundle, num_threads)
pool = ThreadPoolExecutor(num_workers)
app = FastAPI()


@app.post("/predict")
async def post(request: Request) -> dict[str, list[float]]:
    """The logits of one stack."""
    return await get_running_loop().run_in_executor(pool, predict, await request.body())


uvicorn.run(app, port=port, log_level="warning")
