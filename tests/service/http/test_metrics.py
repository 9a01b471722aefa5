"""What is counted."""

import io

import pytest
import tifffile
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from phenoserve.http.observe.metrics import EveryProcess, forget_process

pytestmark = pytest.mark.anyio


async def scrape(client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_requests_stacks_and_stages_are_counted(ask, array, engine) -> None:
    """Answers count by route, method and status, stacks one by one, stages by their seconds."""
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    async with ask() as client:
        await client.post("/predict", files=[("stack", file.getvalue())] * 3)
        await client.post("/predict", content=b"", headers={"content-type": "image/tiff"})
        for path in ("/a", "/b", "/c"):
            await client.get(path)
        found = await scrape(client)

    def requests(route: str, method: str, status: int) -> float:
        labels = {"route": route, "method": method, "status": str(status)}
        return found["phenoserve_requests_total", tuple(sorted(labels.items()))]

    assert requests("/predict", "POST", 200) == 1
    assert requests("/predict", "POST", 415) == 1
    assert requests("unmatched", "unmatched", 404) == 3
    assert found["phenoserve_stacks_total", ()] == 3
    assert found["phenoserve_ready", ()] == 1
    assert found["phenoserve_in_flight", ()] == 0
    assert found["phenoserve_in_flight_bytes", ()] == 0
    for stage in ("decode", "inference_queue", "inference_compute_infer"):
        assert found[f"phenoserve_{stage}_duration_seconds_count", ()] == 1
    assert found["phenoserve_inference_batch_size_count", ()] >= 1
    assert found["phenoserve_inference_batch_size_sum", ()] == 3
    labels = {"bundle": "tiny", "version": "1.0.0", "digest": engine.bundle.digest, "device": "cpu"}
    labels["precision"] = "fp32"
    assert found["phenoserve_info", tuple(sorted(labels.items()))] == 1


async def test_every_app_counts_alone(ask) -> None:
    """Two apps in one process share no counter."""
    async with ask() as client, ask() as other:
        await client.get("/livez")
        labels = (("method", "GET"), ("route", "/livez"), ("status", "200"))
        assert (await scrape(client))["phenoserve_requests_total", labels] == 1
        assert ("phenoserve_requests_total", labels) not in await scrape(other)


def test_a_process_that_is_starting_does_not_spoil_the_sums(tmp_path) -> None:
    """A process's file that is still empty counts for nothing, and those of the others are summed."""
    for pid, count in (("11", 3.0), ("12", 4.0)):
        counts = MmapedDict(str(tmp_path / f"counter_{pid}.db"))
        counts.write_value(mmap_key("stacks", "stacks_total", [], [], "Stacks."), count, 0.0)
        counts.close()
    (tmp_path / "counter_13.db").touch()
    (metric,) = EveryProcess(tmp_path).collect()
    assert [(sample.name, sample.value) for sample in metric.samples] == [("stacks_total", 7.0)]


def test_processes_that_end_leave_their_counts_and_no_file(tmp_path) -> None:
    """However many processes end, their counts stay in the sums, in as many files as there are kinds."""

    def total() -> dict[str, float]:
        families = EveryProcess(tmp_path).collect()
        return {sample.name: sample.value for family in families for sample in family.samples}

    for pid in range(100, 120):
        for kind, name in {"counter": "a_total", "histogram": "b_count", "gauge_livesum": "c"}.items():
            counts = MmapedDict(str(tmp_path / f"{kind}_{pid}.db"))
            counts.write_value(mmap_key(name.split("_")[0], name, [], [], "help"), 2.0, 0.0)
            counts.close()
        before = total()
        assert before["c"] == 2
        forget_process(pid, tmp_path)
        after = total()
        assert after["a_total"] == before["a_total"] == 2 * (pid - 99)
        assert after["b_count"] == before["b_count"]
    assert {path.name for path in tmp_path.glob("*.db")} == {"counter_ended.db", "histogram_ended.db"}
