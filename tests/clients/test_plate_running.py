"""How a run treats a service that is full, away, or another one; on a fake service that says so."""

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile

from phenoclient import NO_RETRIES, AsyncClient, KeyRefusedError, PlateError, ServiceUnavailableError
from phenoclient.plate import (
    LAYOUTS,
    PlateOptions,
    Run,
    open_plate,
    pacing,
    predict_plate,
    read_table,
)
from phenoclient.plate.pacing import FIRST_WINDOW, Window, wait_s

from .conftest import BASE_URL
from .fake_service import pixels, problem

pytestmark = pytest.mark.anyio
NUM_SITES = 6


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "plate"
    folder.mkdir()
    for index in range(NUM_SITES):
        for channel in (1, 2):
            field = np.full((40, 36), 10 * index + channel, np.uint8)
            tifffile.imwrite(folder / f"A{index + 1:02d}_s1_w{channel}.tif", field)
    return folder


@pytest.fixture
async def client(service):
    async with AsyncClient(BASE_URL, retries=NO_RETRIES, transport=httpx.MockTransport(service)) as client:
        yield client


def num_asked(service) -> int:
    return sum(request.url.path == "/predict" for request in service.requests)


@pytest.mark.parametrize(
    "refusal",
    [
        problem(429, "too_many_requests", headers={"retry-after": "0"}),
        problem(503, "not_ready", headers={"retry-after": "0"}),
        httpx.Response(502, text="a proxy alone"),
        httpx.ConnectError("refused"),
    ],
    ids=["full", "not ready", "proxy", "gone"],
)
async def test_a_service_that_is_full_or_away_is_asked_again(service, client, folder, tmp_path, refusal):
    """A request that met a full or absent service is sent again, and every site has its row."""
    plate = await open_plate(client, folder)
    service.next_answers = [refusal]
    outcome = await predict_plate(client, plate, tmp_path / "r.csv")
    assert (outcome.is_complete, outcome.failures) == (True, {})
    assert len(read_table(tmp_path / "r.csv")) == NUM_SITES
    assert num_asked(service) == NUM_SITES + 1


async def test_a_service_that_stays_away_ends_the_run(service, client, folder, tmp_path):
    """After the patience the run ends with the error that it met, and the table is not written."""
    plate = await open_plate(client, folder)
    service.next_answers = [problem(503, "not_ready", headers={"retry-after": "0"}) for _ in range(50)]
    with pytest.raises(ServiceUnavailableError, match="503 not_ready"):
        await predict_plate(client, plate, tmp_path / "r.csv", patience_s=0.0)
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize(
    "refusal",
    [
        problem(503, "deadline_passed", headers={"retry-after": "0"}),
        problem(503, "worker_died", headers={"retry-after": "0"}),
        problem(503, "a_code_of_tomorrow", headers={"retry-after": "0"}),
        problem(503, "not_ready", headers={"retry-after": "0"}),
        problem(429, "too_many_requests", headers={"retry-after": "0"}),
        httpx.Response(503, text="<html>a proxy alone</html>"),
        httpx.Response(504, text="<html>a proxy alone</html>"),
        httpx.ReadError("broken"),
        httpx.ReadTimeout("late"),
    ],
    ids=["deadline", "died", "unknown", "not ready", "full", "proxy 503", "proxy 504", "broken", "late"],
)
async def test_a_site_that_never_gets_an_answer_fails_alone(
    service, client, folder, tmp_path, refusal, monkeypatch
):
    """Whatever a ready service, or what is before it, always answers about one site, the run ends with its reason."""
    monkeypatch.setattr(pacing, "_WAIT_INITIAL_S", 0.01)
    plate = await open_plate(client, folder)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/predict" and pixels(request).mean() < 2:
            if isinstance(refusal, Exception):
                raise refusal
            return refusal
        return service(request)

    async with AsyncClient(BASE_URL, retries=NO_RETRIES, transport=httpx.MockTransport(answer)) as other:
        outcome = await predict_plate(other, plate, tmp_path / "r.csv", patience_s=0.5)
    ((identity, failure),) = outcome.failures.items()
    expected = "transport"
    if isinstance(refusal, httpx.Response):
        is_ours = "json" in refusal.headers.get("content-type", "")
        expected = refusal.json()["code"] if is_ours else "between"
    assert (identity[2], failure.code) == ("A01", expected)
    assert len(read_table(tmp_path / "r.csv")) == NUM_SITES - 1
    assert [row["code"] for row in read_table(tmp_path / "r.failed.csv")] == [expected]


async def test_another_bundle_ends_the_run_and_nothing_of_it_is_kept(service, client, folder, tmp_path):
    """Answers of a bundle that was not there at the start are no answers: the run ends by naming both."""
    plate = await open_plate(client, folder)
    plate = replace(plate, bundle=replace(plate.bundle, digest="old"))
    with pytest.raises(PlateError, match=r"another bundle.*Expected digest old"):
        await predict_plate(client, plate, tmp_path / "r.csv")
    assert len((tmp_path / "r.csv.journal").read_text().splitlines()) == 1


async def test_a_file_of_no_site_is_a_row_without_a_site(service, client, folder, tmp_path):
    """A stray image stands in the table of failures with its reason, and every site is answered."""
    (folder / "Overview_IM00.tif").touch()
    outcome = await predict_plate(client, await open_plate(client, folder), tmp_path / "r.csv")
    (row,) = read_table(tmp_path / "r.failed.csv")
    assert (row["Metadata_Well"], row["code"], row["files"]) == (None, "unmatched", "Overview_IM00.tif")
    assert list(outcome.file_failures) == [Path("Overview_IM00.tif")]
    assert len(read_table(tmp_path / "r.csv")) == NUM_SITES


async def test_results_that_would_share_a_table_of_failures_are_refused(client, folder, tmp_path):
    """`r.parquet` beside `r.csv` would list its failures in the same file, and `r.failed.csv` is such a list."""
    plate = await open_plate(client, folder)
    (tmp_path / "r.parquet").touch()
    for name in ("r.csv", "r.failed.csv"):
        with pytest.raises(PlateError, match=r"Expected .*another"):
            await predict_plate(client, plate, tmp_path / name)


async def test_a_key_that_is_refused_ends_the_run_at_once(service, client, folder, tmp_path):
    """What every request would meet is no failure of a site: the run ends with the service's error."""
    plate = await open_plate(client, folder)
    service.next_answers = [problem(401, "key_wrong") for _ in range(50)]
    with pytest.raises(KeyRefusedError):
        await predict_plate(client, plate, tmp_path / "r.csv")


async def test_stopped_twice_a_run_ends_at_once_and_leaves_nothing_behind(client, service, folder, tmp_path):
    """The second stop does not wait for requests in flight; no task outlives the run, no error goes unasked for."""
    plate = await open_plate(client, folder)
    unheard = list[dict]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
    runs = list[Run]()

    async def answer(request: httpx.Request) -> httpx.Response:
        if len(service.requests) == 3:
            for _ in range(2):
                runs[0].stop()
        if len(service.requests) >= 3:
            await asyncio.sleep(60)
        return service(request)

    before = asyncio.all_tasks()
    async with AsyncClient(BASE_URL, retries=NO_RETRIES, transport=httpx.MockTransport(answer)) as slow:
        outcome = await asyncio.wait_for(
            predict_plate(
                slow, plate, tmp_path / "r.csv", on_start=lambda run, _sites, _done: runs.append(run)
            ),
            timeout=3,
        )
    assert not outcome.is_complete
    gc.collect()
    assert (asyncio.all_tasks() - before, unheard) == (set(), [])


async def test_a_changed_file_is_asked_about_again_and_no_other(service, client, folder, tmp_path):
    """On a finished plate nothing is asked; after a change of one file its site alone."""
    await predict_plate(client, await open_plate(client, folder), tmp_path / "r.csv")
    await predict_plate(client, await open_plate(client, folder), tmp_path / "r.csv")
    assert num_asked(service) == NUM_SITES
    tifffile.imwrite(folder / "A03_s1_w1.tif", np.full((40, 36), 99, np.uint8), description="changed")
    await predict_plate(client, await open_plate(client, folder), tmp_path / "r.csv")
    assert num_asked(service) == NUM_SITES + 1


async def test_the_window_grows_and_shrinks_once_a_round():
    """Answers widen the window up to its largest; refusals of one round cut it once."""
    window = Window(12)
    for _ in range(50):
        window.answered()
    assert window.limit == 12
    cuts = window.cuts
    for _ in range(12):
        window.refused(cuts)
    assert window.limit == 9
    window.restart()
    assert window.limit == FIRST_WINDOW


async def test_no_more_than_the_window_are_in_flight():
    """Whoever enters a full window waits until another leaves it."""
    window = Window(1)
    await window.enter()
    second = asyncio.create_task(window.enter())
    await asyncio.sleep(0)
    assert (window.in_flight, second.done()) == (1, False)
    await window.leave()
    await second
    assert window.in_flight == 1


async def test_waits_honour_the_service_and_differ():
    """No wait is shorter than `Retry-After`, and two are hardly ever the same."""
    waits = [wait_s(1, 2.0) for _ in range(20)]
    assert min(waits) >= 2.0
    assert len(set(waits)) == len(waits)


async def test_a_row_says_the_order_of_channels_and_what_the_service_noticed(
    service, client, folder, tmp_path
):
    """The order that was used, where it comes from, and every notice with its stains stand in the site's row."""
    generator = np.random.default_rng(0)
    tifffile.imwrite(folder / "A01_s1_w1.tif", generator.integers(0, 9, (40, 36), np.uint8))
    for order, source in ((None, "numbers"), ("2=DNA,1=RNA", "--channels")):
        plate = await open_plate(client, folder, PlateOptions(channels=order))
        await predict_plate(client, plate, tmp_path / f"{source}.csv")
        rows = read_table(tmp_path / f"{source}.csv")
        assert {(row["channel_order"], row["channel_order_from"]) for row in rows} == {("DNA|RNA", source)}
        dead = ["dead_channel:RNA" if order is None else "dead_channel:DNA"]
        assert [row["notices"] for row in rows] == dead + ["dead_channel:DNA|dead_channel:RNA"] * 5


async def test_a_whole_stacks_order_comes_from_where_the_service_says(service, client, tmp_path):
    """For files that hold whole stacks the service decides the order, and the row says by what."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    field = np.arange(2 * 40 * 36, dtype=np.uint16).reshape(2, 40, 36)
    tifffile.imwrite(folder / "P_A1_1.tif", field, photometric="minisblack")
    for order, source in ((None, "bundle"), ("RNA,DNA", "query")):
        options = PlateOptions(LAYOUTS["incucyte"], channels=order)
        await predict_plate(client, await open_plate(client, folder, options), tmp_path / f"{source}.csv")
        (row,) = read_table(tmp_path / f"{source}.csv")
        expected = "DNA|RNA" if order is None else "RNA|DNA"
        assert (row["channel_order"], row["channel_order_from"], row["notices"]) == (expected, source, None)


async def test_no_local_path_stands_in_the_tables(client, folder, tmp_path):
    """The plate's folder is named as seen from the table, and reasons name files as seen from the plate's folder."""
    (folder / "A01_s1_w1.tif").write_bytes(b"no image")
    await predict_plate(client, await open_plate(client, folder), tmp_path / "r.csv")
    (failed,) = read_table(tmp_path / "r.failed.csv")
    assert failed["reason"].startswith("A01_s1_w1.tif: is neither a TIFF nor a PNG")
    (seen_from_table,) = {row["Metadata_Folder"] for row in read_table(tmp_path / "r.csv")}
    assert (tmp_path / seen_from_table).resolve() == folder.resolve()
    assert str(folder) not in (tmp_path / "r.csv").read_text() + (tmp_path / "r.failed.csv").read_text()


async def test_rows_say_whether_the_bundle_learned_from_their_well(client, folder, tmp_path):
    """Wells that the bundle lists are marked by name; where it lists none the column is blank."""
    plate = await open_plate(client, folder)
    name = plate.found.sites[0].plate
    await predict_plate(client, plate, tmp_path / "r.csv")
    assert {row["Metadata_learned_from"] for row in read_table(tmp_path / "r.csv")} == {None}
    told = {"": {name: ["A02-A03"]}, "another": {name: ["A04"]}}
    manifest = {**plate.bundle.manifest, "provenance": {"split": {"learned_wells": told}}}
    plate = replace(plate, bundle=replace(plate.bundle, manifest=manifest))
    await predict_plate(client, plate, tmp_path / "r.csv")
    states = {row["Metadata_Well"]: row["Metadata_learned_from"] for row in read_table(tmp_path / "r.csv")}
    assert [states[f"A0{column}"] for column in (1, 2, 3, 4)] == ["no", "yes", "yes", "perhaps"]
