"""`phenoclient plate` against the real service, killed and stopped in the middle."""

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenoclient import Client
from phenoclient.exit_codes import ExitCode
from phenoclient.plate import read_table

from .conftest import free_port, wait_until_ready

STAINS = ("FKHR-GFP", "DNA")
NUM_SITES = 96
PROGRAM = Path(sys.executable).with_name("phenoclient")
WAIT_S = 240.0


@pytest.fixture(scope="module")
def two_stains(tmp_path_factory, make_tiny_bundle) -> Path:
    path = tmp_path_factory.mktemp("two") / "bundle"
    make_tiny_bundle(path, channels=STAINS, treatments=("negative", "positive"), control="negative")
    return path


@pytest.fixture(scope="module")
def url(serve, two_stains):
    with serve(two_stains) as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A plate of 96 sites of two stains, named as MetaXpress does."""
    folder = tmp_path_factory.mktemp("images") / "plate"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(NUM_SITES):
        well = f"{'ABCDEFGH'[index // 12]}{index % 12 + 1:02d}"
        for channel in (1, 2):
            field = generator.integers(0, 255, (160, 160), np.uint8)
            tifffile.imwrite(folder / f"{well}_s1_w{channel}.tif", field)
    return folder


def start(folder: Path, out: Path, url: str, *options: str) -> subprocess.Popen:
    command = [PROGRAM, "plate", folder, "--url", url, "--out", out, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> tuple[int, str]:
    _, told = process.communicate(timeout=WAIT_S)
    return process.returncode, told


def run(folder: Path, out: Path, url: str, *options: str) -> tuple[int, str]:
    return finish(start(folder, out, url, *options))


def journal_lines(out: Path) -> list[str]:
    journal = out.with_name(f"{out.name}.journal")
    return journal.read_text().splitlines() if journal.exists() else []


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def undisturbed(folder, url, tmp_path_factory) -> Path:
    """The table of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "results.csv"
    returncode, told = run(folder, out, url)
    assert returncode == 0, told
    return out


def assert_same_table(found: Path, expected: Path) -> None:
    assert found.read_text() == expected.read_text()
    identities = [line.split('"signature"')[0] for line in journal_lines(found)[1:]]
    assert len(identities) == len(set(identities)) == NUM_SITES  # nothing was lost, nothing done twice


def assert_equals_single_requests(client: Client, folder: Path, rows: list[dict], num_sites: int) -> None:
    assert len(rows) == num_sites
    for row in rows:
        files = [folder / row[f"Metadata_FileName_{stain}"] for stain in STAINS]
        answer = client.predict(files)
        for name, probability in answer.probabilities.items():
            assert row[f"probability_{name}"] == pytest.approx(probability, rel=1e-4)
        for name, probability in answer.forest.probabilities.items():
            assert row[f"forest_probability_{name}"] == pytest.approx(probability, rel=1e-4)
        assert row["predicted_treatment"] == answer.prediction.treatment
        assert answer.prediction_set is not None
        assert (row["prediction_set"] or "") == "|".join(answer.prediction_set.treatments)
        assert answer.distance is not None
        assert row["distance_percentile"] == answer.distance.percentile
        assert row["in_distribution"] is answer.in_distribution


def test_a_plate_equals_single_requests(folder, url, undisturbed):
    """Every row of the table is what a single request about the same files answers."""
    with Client(url) as client:
        assert_equals_single_requests(client, folder, read_table(undisturbed), NUM_SITES)


def test_killed_three_times_the_table_is_the_same(folder, url, undisturbed, tmp_path):
    """SIGKILL at three points and the same command again give the same table, and no site twice."""
    out = tmp_path / "results.csv"
    for num_lines in np.sort(np.random.default_rng().choice(np.arange(2, 80), 3, replace=False)):
        process = start(folder, out, url)
        wait_for(lambda num_lines=num_lines: len(journal_lines(out)) >= num_lines, process)
        process.kill()
        finish(process)
        assert not out.exists()
    assert run(folder, out, url)[0] == 0
    assert_same_table(out, undisturbed)


@pytest.mark.parametrize("num_signals", [1, 2])
def test_interrupted_it_says_so_and_goes_on(folder, url, undisturbed, tmp_path, num_signals):
    """Ctrl-C, once or twice, ends with its own status and no traceback; the same command ends with the same table."""
    out = tmp_path / "results.csv"
    process = start(folder, out, url)
    wait_for(lambda: len(journal_lines(out)) >= 10, process)
    for _ in range(num_signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    returncode, told = finish(process)
    assert (returncode, out.exists()) == (ExitCode.INTERRUPTED, False)
    assert "goes on" in told
    assert "Traceback" not in told
    assert "never retrieved" not in told
    assert run(folder, out, url)[0] == 0
    assert_same_table(out, undisturbed)


def test_a_killed_and_restarted_service_loses_nothing(folder, two_stains, undisturbed, tmp_path):
    """The service killed in the middle and started again, the running command ends with the same table."""
    out, port = tmp_path / "results.csv", free_port()
    url = f"http://127.0.0.1:{port}"
    command = [Path(sys.executable).with_name("phenoserve"), "serve", two_stains, "--port", str(port)]
    command += ["--device", "cpu"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_until_ready(url, service, log)
            process = start(folder, out, url)
            wait_for(lambda: len(journal_lines(out)) >= 20, process)
            service.kill()
            service.wait()
            service = subprocess.Popen(command, stdout=output, stderr=output)
            returncode, told = finish(process)
        finally:
            service.kill()
            service.wait()
    assert returncode == 0, told
    assert_same_table(out, undisturbed)


def test_a_full_service_is_asked_less_and_answers_all(folder, serve, two_stains, undisturbed, tmp_path):
    """A service that takes two requests at once refuses more, and every site is answered all the same."""
    out = tmp_path / "results.csv"
    with serve(two_stains, "--max-in-flight", "2") as url:
        returncode, told = run(folder, out, url)
    assert returncode == 0, told
    assert_same_table(out, undisturbed)


def test_a_site_past_its_deadline_every_time_ends_the_run(folder, serve, two_stains, tmp_path):
    """A ready service that is never in time is asked so often, and the site is listed as failed."""
    plate = tmp_path / "plate"
    plate.mkdir()
    for file in folder.glob("A01_*.tif"):
        (plate / file.name).write_bytes(file.read_bytes())
    out = tmp_path / "results.csv"
    with serve(two_stains, "--deadline-s", "0.0003") as url:
        returncode, told = run(plate, out, url)
    assert returncode == ExitCode.SITES_FAILED, told
    (failed,) = read_table(tmp_path / "results.failed.csv")
    assert (failed["Metadata_Well"], failed["code"]) == ("A01", "deadline_passed")
    assert "no answer in 5 attempts" in failed["reason"]


def test_failed_sites_are_listed_with_their_reasons(folder, url, tmp_path):
    """A missing channel, a damaged file and a field too small are in the table of failures; the rest is answered."""
    plate = tmp_path / "plate"
    plate.mkdir()
    for file in sorted(folder.glob("A0*.tif")):
        (plate / file.name).write_bytes(file.read_bytes())
    (plate / "A01_s1_w2.tif").unlink()
    (plate / "A02_s1_w1.tif").write_bytes((plate / "A02_s1_w1.tif").read_bytes()[:2000])
    for channel in (1, 2):
        tifffile.imwrite(plate / f"A03_s1_w{channel}.tif", np.zeros((8, 8), np.uint8))
    out = tmp_path / "results.csv"
    returncode, told = run(plate, out, url)
    assert returncode == ExitCode.SITES_FAILED
    with (tmp_path / "results.failed.csv").open(newline="") as file:
        failed = {row["Metadata_Well"]: row for row in csv.DictReader(file)}
    codes = {well: row["code"] for well, row in failed.items()}
    assert codes == {"A01": "incomplete", "A02": "file", "A03": "field_too_small"}
    assert all(row["reason"] and row["files"] for row in failed.values())
    assert len(read_table(out)) == 9 - len(failed)
    assert told.count("phenoclient: failed: ") == len(failed)
    for file in folder.glob("A0[123]*.tif"):
        (plate / file.name).write_bytes(file.read_bytes())
    assert run(plate, out, url)[0] == 0  # repaired, they are asked about again
    assert len(read_table(out)) == 9
    assert read_table(tmp_path / "results.failed.csv") == []


def test_parquet_holds_what_csv_holds_with_embeddings_and_plate_map(folder, url, undisturbed, tmp_path):
    """A Parquet table has the CSV's columns and values, the embedding on request, and the plate map's treatments."""
    out, wells = tmp_path / "results.parquet", tmp_path / "map.csv"
    wells.write_text("Well,compound,dose,batch\nA1,Wortmannin,2.5,007\nA02,none,0,007\n")
    options = ("--embedding", "projection", "--plate-map", str(wells))
    returncode, told = run(folder, out, url, *options)
    assert (returncode, out.exists()) == (ExitCode.FILE, False)
    assert "line 3: dose is '0'" in told
    returncode, told = run(folder, out, url, *options, "--control", "none")
    assert returncode == 0, told
    assert "does not hold 94 wells with images: A03, A04, " in told
    rows, plain = read_table(out), read_table(undisturbed)
    for row, expected in zip(rows, plain, strict=True):
        assert {name: row[name] for name in expected} == expected
        assert np.linalg.norm([row[f"proj_{index:04d}"] for index in range(128)]) == pytest.approx(
            1, abs=1e-4
        )
    names = ("Metadata_treatment", "Metadata_treatment_conc", "Metadata_batch", "Metadata_role")
    assert [tuple(row[name] for name in names) for row in rows[:3]] == [
        ("Wortmannin", 2.5, "007", "treated"),
        ("none", None, "007", "control"),
        (None, None, None, None),
    ]


def test_other_options_are_refused_by_the_journal(folder, url, undisturbed):
    """The same table with other stains is refused with what differs, and stays as it is."""
    before = undisturbed.read_bytes()
    returncode, told = run(folder, undisturbed, url, "--channels", "2=FKHR-GFP,1=DNA")
    assert returncode == ExitCode.FILE
    assert "stains: channels: 1 = FKHR-GFP" in told
    assert undisturbed.read_bytes() == before


@pytest.mark.data
def test_all_wells_of_a_real_plate_equal_single_requests(data_root, url, tmp_path):
    """All 96 wells of BBBC013 come out as single requests about them do."""
    out = tmp_path / "results.csv"
    returncode, told = run(data_root / "bbbc013", out, url)
    assert returncode == 0, told
    with Client(url) as client:
        assert_equals_single_requests(client, data_root / "bbbc013", read_table(out), 96)
