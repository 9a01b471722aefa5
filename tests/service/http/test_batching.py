"""What runs together, what is dropped, and what happens to the neighbours of what fails."""

import logging
import threading

import anyio
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phenoserve.bundle.outputs import Outputs
from phenoserve.engine import Engine, GraphError
from phenoserve.http import create_app
from phenoserve.scheduling import Engines, Readiness
from phenoserve.settings import Settings

from .conftest import asking, encode_tiff, refusal_before_body, until
from .engines import POISON, HeldEngine, PoisonedEngine
from .problem import assert_problem

pytestmark = pytest.mark.anyio
HEADERS = {"content-type": "image/tiff"}
ONE_WORKER = {"num_inferences": 1, "max_batch": 4}


def stack_of(value: int, *, size: int = 64, dtype: str = "uint16") -> np.ndarray:
    array = np.random.default_rng(value).integers(0, 250, (6, size, size)).astype(dtype)
    array[0, 0, 0] = value
    return array


async def post_all(
    client: httpx.AsyncClient, arrays: list[np.ndarray], path: str = "/embed"
) -> list[httpx.Response]:
    answers: list[httpx.Response | None] = [None] * len(arrays)

    async def post(index: int) -> None:
        answers[index] = await client.post(path, content=encode_tiff(arrays[index]), headers=HEADERS)

    async with anyio.create_task_group() as tasks:
        for index in range(len(arrays)):
            tasks.start_soon(post, index)
    return answers


async def hold(app, client, held: HeldEngine, tasks, answers: list[httpx.Response]) -> None:
    """Let the worker hang on a first stack, so that what follows waits."""
    held.gate.clear()
    num_asked = held.num_asked

    async def post() -> None:
        answers.append(await client.post("/embed", content=encode_tiff(stack_of(200)), headers=HEADERS))

    tasks.start_soon(post)
    await until(lambda: held.num_asked == num_asked + 1)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([64, 65, 90]), st.sampled_from(["uint8", "uint16"])),
             min_size=1, max_size=12),
)  # fmt: skip
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_stack_gets_its_own_answer(engine: Engine, stacks: list[tuple[int, int, str]]) -> None:
    """Whatever waits together, each request gets the numbers that its stack gets alone, within the tolerance."""
    arrays = [stack_of(value, size=size, dtype=dtype) for value, size, dtype in stacks]
    tolerance = engine.bundle.manifest.tolerance

    async def check() -> None:
        held = HeldEngine(engine)
        app = create_app(Engines.of(held), Settings(**ONE_WORKER))
        first: list[httpx.Response] = []
        async with asking(app) as client, anyio.create_task_group() as tasks:
            await hold(app, client, held, tasks, first)

            async def open_gate() -> None:
                await until(lambda: app.service.scheduler.queue.num_waiting == len(arrays))
                held.gate.set()

            tasks.start_soon(open_gate)
            answers = await post_all(client, arrays)
        batches = held.asked[len(engine.bundle.golden.stacks) + 1 :]
        assert sum(len(batch) for batch in batches) == len(arrays)
        for answer, array in zip(answers, arrays, strict=True):
            np.testing.assert_allclose(
                answer.json()["embedding"],
                engine.infer(array[np.newaxis]).embedding[0],
                rtol=tolerance.relative,
                atol=tolerance.absolute,
            )

    anyio.run(check)


async def test_a_free_worker_takes_what_fits(engine: Engine) -> None:
    """A batch is the stack that waited longest and those of its size and pixel type behind it, up to the limit."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(**ONE_WORKER))
    waiting = [
        stack_of(1),
        stack_of(2, size=70),
        *[stack_of(value) for value in range(3, 8)],
        stack_of(8, dtype="uint8"),
    ]
    async with asking(app) as client, anyio.create_task_group() as tasks:
        await hold(app, client, held, tasks, [])
        num_asked = held.num_asked
        for number, array in enumerate(waiting, 1):
            tasks.start_soon(
                lambda array=array: client.post("/embed", content=encode_tiff(array), headers=HEADERS)
            )
            await until(lambda number=number: app.service.scheduler.queue.num_waiting == number)
        held.gate.set()
    assert [list(batch[:, 0, 0, 0]) for batch in held.asked[num_asked:]] == [[1, 3, 4, 5], [2], [6, 7], [8]]


@pytest.mark.parametrize("poison", range(4))
async def test_neighbours_of_a_failing_stack_are_answered(engine: Engine, poison: int, caplog) -> None:
    """One stack of a batch that fails is answered with an error, each other as it is alone."""
    held = PoisonedEngine(engine)
    app = create_app(Engines.of(held), Settings(**ONE_WORKER))
    arrays = [stack_of(POISON if index == poison else index) for index in range(4)]
    async with asking(app) as client, anyio.create_task_group() as tasks:
        await hold(app, client, held, tasks, [])

        async def open_gate() -> None:
            await until(lambda: app.service.scheduler.queue.num_waiting == 4)
            held.gate.set()

        tasks.start_soon(open_gate)
        answers = await post_all(client, arrays)
        assert app.service.scheduler.readiness is Readiness.READY
    assert_problem(answers.pop(poison), "internal_error")
    assert [answer.status_code for answer in answers] == [200] * 3


class LeavingTransport(httpx.ASGITransport):
    """Tells the application that the client left as soon as `left` is set."""

    def __init__(self, app) -> None:
        self.left = anyio.Event()

        async def watched(scope, receive, send) -> None:
            is_read = False

            async def receive_or_leave():
                nonlocal is_read
                if is_read:
                    await self.left.wait()
                    return {"type": "http.disconnect"}
                message = await receive()
                is_read = not message.get("more_body", False)
                return message

            await app(scope, receive_or_leave, send)

        super().__init__(watched)


async def test_the_work_of_a_client_that_left_is_dropped(engine: Engine) -> None:
    """A stack whose client leaves while it waits is never run, and its place and bytes are free at once."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(**ONE_WORKER))
    scheduler = app.service.scheduler
    transport = LeavingTransport(app)
    async with (
        asking(app) as client,
        httpx.AsyncClient(transport=transport, base_url="http://test") as leaver,
        anyio.create_task_group() as tasks,
    ):
        await hold(app, client, held, tasks, [])
        tasks.start_soon(lambda: leaver.post("/embed", content=encode_tiff(stack_of(99)), headers=HEADERS))
        await until(lambda: scheduler.queue.num_waiting == 1)
        transport.left.set()
        await until(lambda: scheduler.queue.num_waiting == scheduler.queue.num_bytes == 0)
        await until(lambda: scheduler.admission.num_requests == 1)
        held.gate.set()
    assert not any((batch[:, 0, 0, 0] == 99).any() for batch in held.asked)


async def test_a_connection_that_closes_is_noticed(engine: Engine, listen) -> None:
    """On a real connection too, a client that leaves while its stack waits has it dropped."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(**ONE_WORKER))
    scheduler = app.service.scheduler
    body = encode_tiff(stack_of(97))
    head = (
        f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with listen(app) as listening:
        held.gate.clear()
        async with httpx.AsyncClient(base_url=listening.url) as client, anyio.create_task_group() as tasks:
            num_asked = held.num_asked
            tasks.start_soon(post_all, client, [stack_of(1)])
            await until(lambda: held.num_asked == num_asked + 1)
            stream = await anyio.connect_tcp(client.base_url.host, client.base_url.port)
            await stream.send(head.encode() + body)
            await until(lambda: scheduler.queue.num_waiting == 1)
            await stream.aclose()
            await until(lambda: scheduler.queue.num_waiting == 0 and scheduler.admission.num_requests == 1)
            held.gate.set()
    assert not any((batch[:, 0, 0, 0] == 97).any() for batch in held.asked)


async def test_a_connection_that_closes_while_its_stack_runs_costs_nobody(
    engine: Engine, listen, caplog
) -> None:
    """A client that leaves while its stack runs gives its place and bytes back; the next gets its own answer."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(**ONE_WORKER))
    scheduler = app.service.scheduler
    body, other = encode_tiff(stack_of(96)), stack_of(1)
    head = (
        f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with listen(app) as listening, caplog.at_level("ERROR"):
        held.gate.clear()
        async with httpx.AsyncClient(base_url=listening.url) as client:
            num_asked = held.num_asked
            stream = await anyio.connect_tcp(client.base_url.host, client.base_url.port)
            await stream.send(head.encode() + body)
            await until(lambda: held.num_asked == num_asked + 1)
            await stream.aclose()
            held.gate.set()
            await until(lambda: scheduler.admission.num_requests == scheduler.admission.num_bytes == 0)
            (answer,) = await post_all(client, [other])
    np.testing.assert_allclose(
        answer.json()["embedding"], engine.infer(other[np.newaxis]).embedding[0], rtol=1e-3, atol=1e-3
    )
    assert caplog.records == []


async def test_what_is_late_is_never_run(engine: Engine) -> None:
    """A stack whose deadline passes while it waits is answered 503 at that time, and never run."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(**ONE_WORKER))
    async with asking(app) as client, anyio.create_task_group() as tasks:
        await hold(app, client, held, tasks, [])
        answer = await client.post(
            "/embed", content=encode_tiff(stack_of(98)), headers={**HEADERS, "x-timeout-ms": "50"}
        )
        assert_problem(answer, "deadline_passed")
        held.gate.set()
    assert not any((batch[:, 0, 0, 0] == 98).any() for batch in held.asked)


async def test_the_settings_deadline_is_the_longest(engine: Engine) -> None:
    """A client cannot wait longer than the service's own deadline."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(deadline_s=0.05))
    async with asking(app) as client:
        held.gate.clear()
        answer = await client.post(
            "/embed", content=encode_tiff(stack_of(1)), headers={**HEADERS, "x-timeout-ms": "99999999"}
        )
        assert_problem(answer, "deadline_passed")
        held.gate.set()


async def test_a_dead_worker_fails_what_it_held_and_no_other(engine: Engine, caplog) -> None:
    """A worker that dies fails its stacks and readiness; the others go on; when none is left all is refused."""
    held = PoisonedEngine(engine)
    held.error = SystemExit
    app = create_app(Engines.of(held), Settings(num_inferences=2))
    async with asking(app) as client:
        with caplog.at_level(logging.CRITICAL):
            assert_problem((await post_all(client, [stack_of(POISON)]))[0], "worker_died")
        assert "A worker died" in caplog.text
        assert_problem(await client.get("/readyz"), "not_ready")
        assert (await client.get("/livez")).status_code == 200
        assert [answer.status_code for answer in await post_all(client, [stack_of(1), stack_of(2)])] == [
            200,
            200,
        ]
        for answer in await post_all(client, [stack_of(POISON), stack_of(3)]) + await post_all(
            client, [stack_of(4)]
        ):
            if answer.status_code != 200:
                assert_problem(answer, "worker_died")
        assert answer.status_code == 503


async def test_nobody_waits_for_the_last_worker(engine: Engine) -> None:
    """What waits, for a worker or for room in the queue, is told when the last worker dies."""
    held = PoisonedEngine(engine)
    held.error = SystemExit
    app = create_app(Engines.of(held), Settings(num_inferences=1, max_queue=1))
    answers: list[httpx.Response] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        held.gate.clear()

        async def post(value: int) -> None:
            answers.append(await client.post("/embed", content=encode_tiff(stack_of(value)), headers=HEADERS))

        num_asked = held.num_asked
        tasks.start_soon(post, POISON)
        await until(lambda: held.num_asked == num_asked + 1)
        for value in range(3):
            tasks.start_soon(post, value)
        await until(lambda: app.service.scheduler.queue.stacks.is_full)
        held.gate.set()
    codes = [answer.json().get("code") for answer in answers]
    assert "worker_died" in codes
    assert set(codes) <= {"worker_died", "too_many_requests"}


async def test_a_device_that_fails_for_good_is_a_dead_worker(engine: Engine) -> None:
    """After an error of the runtime the golden stacks are asked again; if they fail too, readiness ends."""

    class LostDevice(HeldEngine):
        is_lost = False

        def infer(self, stacks: np.ndarray) -> Outputs:
            if self.is_lost:
                raise GraphError("the device is gone")
            return super().infer(stacks)

    held = LostDevice(engine)
    app = create_app(Engines.of(held), Settings(num_inferences=1))
    async with asking(app) as client:
        held.is_lost = True
        assert_problem((await post_all(client, [stack_of(1)]))[0], "internal_error")
        await until(lambda: app.service.scheduler.readiness is Readiness.WORKER_DIED)
        assert_problem((await post_all(client, [stack_of(1)]))[0], "worker_died")


async def test_a_lone_stack_gets_the_lone_engine(engine: Engine) -> None:
    """A stack that finds nothing running or waiting runs on the engine of all cores, any other on the shared one."""
    alone, shared = HeldEngine(engine), HeldEngine(engine)
    app = create_app(Engines(alone, shared), Settings(num_inferences=2))
    num_golden = len(engine.bundle.golden.stacks)
    async with asking(app) as client, anyio.create_task_group() as tasks:
        assert (alone.num_asked, shared.num_asked) == (num_golden, num_golden)
        await post_all(client, [stack_of(1)])
        assert (alone.num_asked, shared.num_asked) == (num_golden + 1, num_golden)
        alone.gate.clear()
        tasks.start_soon(post_all, client, [stack_of(2)])
        await until(lambda: alone.num_asked == num_golden + 2)
        await post_all(client, [stack_of(3)])
        assert (alone.num_asked, shared.num_asked) == (num_golden + 2, num_golden + 1)
        alone.gate.set()


async def test_batches_are_filled_up_to_their_sizes(engine: Engine) -> None:
    """Where batches have fixed sizes, each is run before readiness, and a batch between two is filled up."""
    held = HeldEngine(engine)
    app = create_app(Engines(held, held, batch_sizes=(1, 2, 4)), Settings(**ONE_WORKER))
    golden = engine.bundle.golden.stacks
    async with asking(app) as client, anyio.create_task_group() as tasks:
        warm = {(len(batch), *batch.shape[1:]) for batch in held.asked}
        assert warm == {(size, *stack.shape) for size in (1, 2, 4) for stack in golden}
        await hold(app, client, held, tasks, [])

        async def open_gate() -> None:
            await until(lambda: app.service.scheduler.queue.num_waiting == 3)
            held.gate.set()

        tasks.start_soon(open_gate)
        arrays = [stack_of(value) for value in range(3)]
        answers = await post_all(client, arrays)
    assert len(held.asked[-1]) == 4
    for answer, array in zip(answers, arrays, strict=True):
        alone = engine.infer(array[np.newaxis]).embedding[0]
        np.testing.assert_allclose(answer.json()["embedding"], alone, rtol=1e-4, atol=1e-4)


async def test_a_full_queue_refuses_before_the_body_is_read(engine: Engine) -> None:
    """While the queue is full new requests are told to come back, and every one let in is answered."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(num_inferences=1, max_queue=2, num_decoders=1))
    statuses: list[int] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        await hold(app, client, held, tasks, [])

        async def post_four() -> None:
            body = [("stack", encode_tiff(stack_of(value))) for value in range(6)]
            statuses.append((await client.post("/embed", files=body)).status_code)

        tasks.start_soon(post_four)
        await until(lambda: app.service.scheduler.queue.num_waiting == 2)
        assert_problem(await refusal_before_body(app, "/embed", HEADERS), "too_many_requests")
        held.gate.set()
    assert statuses == [200]


def test_workers_end_with_the_service(engine: Engine) -> None:
    """No thread of the scheduler outlives the service."""

    async def serve() -> None:
        async with asking(create_app(Engines.of(engine), Settings())) as client:
            await client.get("/readyz")

    before = set(threading.enumerate())  # another module's service may still run
    anyio.run(serve)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith(("inference", "decode"))]
