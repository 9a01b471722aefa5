"""Stain attributions beside other requests: what they hold up, what they get, and their share of the limits."""

from contextlib import ExitStack

import anyio
import httpx
import numpy as np
import pytest

from phenoserve.engine import Engine
from phenoserve.engine.attribution import StainAttribution, stain_attribution
from phenoserve.http import create_app
from phenoserve.scheduling import Engines, FullError, Lease, Scheduler
from phenoserve.scheduling.admission import MIB
from phenoserve.settings import Settings

from .conftest import asking, encode_tiff, until
from .engines import HeldEngine, SteppedEngine
from .problem import assert_problem

HEADERS = {"content-type": "image/tiff"}
NUM_ATTRIBUTIONS = 4
LARGE_PX, SMALL_PX = 256, 64
"""Of the large fields 16 go into a pass, so that 6 stains take 5 passes: the stack itself, and 4 of subsets."""


def stack_of(seed: int, size_px: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 250, (6, size_px, size_px)).astype(np.uint8)


async def ask_for(
    client: httpx.AsyncClient, path: str, stack: np.ndarray, answers: list[httpx.Response]
) -> None:
    answers.append(await client.post(path, content=encode_tiff(stack), headers=HEADERS))


def direct(engine: Engine, stack: np.ndarray) -> StainAttribution:
    return stain_attribution(lambda stacks: engine.infer(stacks).logits, stack)


@pytest.mark.anyio
@pytest.mark.parametrize("num_workers", [1, 2])
async def test_a_prediction_waits_for_the_pass_that_runs(engine: Engine, num_workers: int) -> None:
    """Beside four attributions a prediction is the next work of the first worker that ends its pass."""
    stepped = SteppedEngine(engine)
    app = create_app(Engines.of(stepped), Settings(num_inferences=num_workers))
    explained: list[httpx.Response] = []
    predicted: list[httpx.Response] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        queue = app.service.scheduler.queue
        stepped.step()
        for seed in range(NUM_ATTRIBUTIONS):
            tasks.start_soon(ask_for, client, "/explain?stains=true", stack_of(seed, LARGE_PX), explained)
        await until(lambda: len(queue.attributions) == NUM_ATTRIBUTIONS - num_workers)
        for number in range(1, 4):
            await until(lambda: len(stepped.held) == num_workers)
            tasks.start_soon(ask_for, client, "/predict", stack_of(9, SMALL_PX), predicted)
            await until(lambda: len(queue.stacks) == 1)
            stepped.step()
            await until(lambda: len(stepped.held) == num_workers)
            sizes_px = sorted(stacks.shape[-1] for stacks in stepped.held)
            assert sizes_px == [SMALL_PX] + [LARGE_PX] * (num_workers - 1)
            stepped.step()
            await until(lambda number=number: len(predicted) == number)
        assert explained == []
        stepped.run_free()
    assert [answer.status_code for answer in predicted + explained] == [200] * (3 + NUM_ATTRIBUTIONS)


@pytest.mark.anyio
async def test_values_of_passes_in_turn_are_those_of_passes_in_a_row(engine: Engine) -> None:
    """Four attributions at a time, with predictions between their passes, have the direct one's values bit for bit."""
    manifest = engine.bundle.manifest
    stacks = [stack_of(seed, LARGE_PX) for seed in range(NUM_ATTRIBUTIONS)]
    found: dict[int, httpx.Response] = {}
    async with asking(create_app(Engines.of(engine), Settings(num_inferences=2))) as client:

        async def explain(index: int) -> None:
            treatment = manifest.treatments[index]
            found[index] = await client.post(
                "/explain",
                params={"stains": "true", "treatment": treatment},
                content=encode_tiff(stacks[index]),
                headers=HEADERS,
            )

        async with anyio.create_task_group() as tasks:
            for index in range(NUM_ATTRIBUTIONS):
                tasks.start_soon(explain, index)
                tasks.start_soon(ask_for, client, "/predict", stack_of(9, SMALL_PX), [])
    for index, stack in enumerate(stacks):
        expected = direct(engine, stack)
        stains = found[index].json()["stains"]
        assert list(stains["values"].values()) == expected.values[:, index].tolist()
        assert stains["logit"] == expected.full[index]
        assert stains["baseline_logit"] == expected.baseline[index]


def entered(
    scheduler: Scheduler, inside: ExitStack, num_bytes: int, *, attribute_stains: bool = False
) -> Lease:
    """A request that was let in, and whose body has come."""
    lease = inside.enter_context(scheduler.admit(num_bytes, attribute_stains=attribute_stains))
    lease.hold(num_bytes)
    return lease


def test_attributions_are_let_in_up_to_their_share_of_requests(engine: Engine) -> None:
    """Of 8 requests at a share of a quarter 2 may be attributions; the 6 others remain, and a place comes back."""
    scheduler = Scheduler(Engines.of(engine), Settings(max_in_flight=8, attribution_share=0.25))
    with ExitStack() as inside:
        first = inside.enter_context(ExitStack())
        entered(scheduler, first, 1, attribute_stains=True)
        entered(scheduler, inside, 1, attribute_stains=True)
        with pytest.raises(FullError, match="2 stain attributions are in flight"):
            entered(scheduler, inside, 1, attribute_stains=True)
        for _ in range(5):
            entered(scheduler, inside, 1)
        first.close()
        entered(scheduler, inside, 1, attribute_stains=True)
        entered(scheduler, inside, 1)
        with pytest.raises(FullError, match="8 requests are in flight"):
            entered(scheduler, inside, 1)
    assert scheduler.admission.num_requests == scheduler.admission.num_bytes == 0


def test_attributions_are_let_in_up_to_their_share_of_bytes(engine: Engine) -> None:
    """Of 8 MiB at a half, bodies of attributions hold 4, to the byte; what a body does not take counts no more."""
    scheduler = Scheduler(Engines.of(engine), Settings(max_in_flight_mib=8, attribution_share=0.5))
    with ExitStack() as inside:
        lease = entered(scheduler, inside, 3 * MIB, attribute_stains=True)
        with pytest.raises(FullError, match=r"hold 3\.0 of 4 MiB"):
            entered(scheduler, inside, MIB + 1, attribute_stains=True)
        lease.hold(2 * MIB)
        with pytest.raises(FullError, match=r"hold 2\.0 of 4 MiB"):
            entered(scheduler, inside, 2 * MIB + 1, attribute_stains=True)
        entered(scheduler, inside, 2 * MIB, attribute_stains=True)
        entered(scheduler, inside, 4 * MIB)
    assert scheduler.admission.num_requests == scheduler.admission.num_bytes == 0


def test_one_attribution_is_always_let_in(engine: Engine) -> None:
    """Without any share one attribution is let in, of whatever size fits the service, and no second one."""
    scheduler = Scheduler(Engines.of(engine), Settings(max_in_flight_mib=8, attribution_share=0))
    for _ in range(2):
        with ExitStack() as inside:
            entered(scheduler, inside, 8 * MIB, attribute_stains=True)
            with pytest.raises(FullError):
                entered(scheduler, inside, 0, attribute_stains=True)


@pytest.mark.anyio
async def test_a_stack_is_decoded_while_attributions_wait_for_room(engine: Engine) -> None:
    """While a request's attributions wait for room in the queue, with the only thread that decodes, others come in."""
    held = HeldEngine(engine)
    settings = Settings(num_inferences=1, num_decoders=1, max_queue=4, attribution_share=0.25)
    app = create_app(Engines.of(held), settings)
    plain: list[httpx.Response] = []
    statuses: list[int] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        queue = app.service.scheduler.queue
        held.gate.clear()
        num_asked = held.num_asked

        async def explain_four() -> None:
            parts = [("stack", encode_tiff(stack_of(seed, SMALL_PX))) for seed in range(4)]
            statuses.append((await client.post("/explain?stains=true", files=parts)).status_code)

        tasks.start_soon(explain_four)
        await until(lambda: held.num_asked == num_asked + 1 and queue.attributions.is_full)
        for number in range(1, 4):
            tasks.start_soon(ask_for, client, "/embed", stack_of(number, SMALL_PX), plain)
            await until(lambda number=number: len(queue.stacks) == number)
        held.gate.set()
    assert statuses == [200]
    assert [answer.status_code for answer in plain] == [200] * 3


@pytest.mark.anyio
async def test_an_attribution_that_would_be_late_is_refused_before_it_runs(engine: Engine) -> None:
    """At a pace at which the deadline has time for one and a half, a second is refused, a small one is not.

    Once the first is ready the same one is let in: one always is, whatever the pace.
    """
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(num_inferences=1, deadline_s=300))
    explained: list[httpx.Response] = []
    path = "/explain?stains=true"
    async with asking(app) as client:
        scheduler = app.service.scheduler
        assert scheduler.pace.px_per_s is None
        async with anyio.create_task_group() as tasks:
            held.gate.clear()
            num_asked = held.num_asked
            tasks.start_soon(ask_for, client, path, stack_of(1, LARGE_PX), explained)
            await until(lambda: held.num_asked == num_asked + 1)
            scheduler.pace.resume(0.0)
            scheduler.pace.note(65 * LARGE_PX**2, 200.0)  # as much as the first takes
            refused = await client.post(path, content=encode_tiff(stack_of(2, LARGE_PX)), headers=HEADERS)
            detail = assert_problem(refused, "too_many_requests")
            assert "Stain attributions in flight: 1." in detail
            assert "would take about 400 s" in detail
            tasks.start_soon(ask_for, client, path, stack_of(3, SMALL_PX), explained)
            await until(lambda: len(scheduler.queue.attributions) == 1)
            held.gate.set()
        assert [answer.status_code for answer in explained] == [200, 200]
        scheduler.pace.note(1, 1e9)
        await ask_for(client, path, stack_of(2, LARGE_PX), explained)
    assert explained[-1].status_code == 200


@pytest.mark.anyio
async def test_an_attribution_that_would_make_another_late_is_refused(engine: Engine) -> None:
    """Where the new one would be in time, but the one in flight would not beside it, the new one is refused."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(num_inferences=1, deadline_s=300))
    explained: list[httpx.Response] = []
    path = "/explain?stains=true"
    async with asking(app) as client, anyio.create_task_group() as tasks:
        scheduler = app.service.scheduler
        held.gate.clear()
        num_asked = held.num_asked
        tasks.start_soon(ask_for, client, path, stack_of(1, LARGE_PX), explained)
        await until(lambda: held.num_asked == num_asked + 1)
        scheduler.pace.resume(0.0)
        scheduler.pace.note(65 * LARGE_PX**2, 299.0)  # the small one's sixteenth of it is too much
        refused = await client.post(path, content=encode_tiff(stack_of(3, SMALL_PX)), headers=HEADERS)
        assert "one of them would take about 318 s" in assert_problem(refused, "too_many_requests")
        held.gate.set()
    assert explained[0].status_code == 200
