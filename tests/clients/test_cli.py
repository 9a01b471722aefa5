import json
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import httpx
import imagecodecs
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from phenoclient.cli import app
from phenoclient.errors import PhenoclientError
from phenoclient.exit_codes import EXIT_CODES, ExitCode, exit_code_of

from . import fake_service
from .fake_service import PNG, FakeService, listening, problem


@pytest.fixture
def url(service: FakeService):
    with listening(service) as url:
        yield url


@pytest.fixture
def run(url):
    def run(*arguments: object, **environment: str) -> Result:
        return CliRunner().invoke(
            app, [str(argument) for argument in arguments], env={"PHENOCLIENT_URL": url} | environment
        )

    return run


def lines(result: Result) -> list[dict]:
    """The JSON lines of a run that succeeded and said nothing else."""
    assert (result.exit_code, result.stderr) == (ExitCode.ANSWERED, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def message(result: Result) -> str:
    """The one line on standard error of a run that failed without an answer."""
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("phenoclient: ")
    return line


def test_predict_prints_one_json_line_a_stack(run, stack_file, tmp_path):
    """Several stacks give one JSON line each, in order, that names its file and holds the whole answer."""
    second = tmp_path / "second.tif"
    second.write_bytes(stack_file.read_bytes())
    answers = lines(run("predict", stack_file, second))
    assert [answer["files"] for answer in answers] == [[str(stack_file)], [str(second)]]
    assert answers[0]["prediction"] == {"treatment": "IFN-beta", "probability": 0.75}
    assert {"bundle", "stack", "probabilities", "versus_control", "forest"} <= set(answers[0])


def test_predict_prints_the_set_and_tells_of_a_stack_unlike_all(run, stack_file, tmp_path):
    """The set and the distance are in the line; a stack out of distribution is told, by its file, beside it."""
    (answer,) = lines(run("predict", stack_file))
    assert answer["prediction_set"] == {"treatments": ["IFN-beta"], "coverage": 0.9}
    assert (answer["in_distribution"], answer["distance"]["percentile"]) == (True, 62.5)
    blank = tmp_path / "blank.tif"
    tifffile.imwrite(blank, np.zeros((2, 40, 36), np.uint8), photometric="minisblack")
    result = run("predict", stack_file, blank)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, [answer["in_distribution"] for answer in answers]) == (0, [True, False])
    *dead, notice = result.stderr.splitlines()
    assert dead == [
        f"phenoclient: {blank}: dead_channel: All pixels of {name} are equal." for name in ("DNA", "RNA")
    ]
    assert [found["channels"] for found in answers[1]["stack"]["notices"]] == [["DNA"], ["RNA"]]
    assert notice.startswith(
        f"phenoclient: {blank} is unlike what the model learned from: its distance is 31.25"
    )


def test_predict_tells_once_why_there_is_no_set(monkeypatch, run, stack_file, tmp_path):
    """Where the bundle gives no set and says nothing of the distribution, each reason is one line for all stacks."""
    few = {
        "prediction_set": None,
        "prediction_set_reason": "No prediction set: too few wells.",
        "in_distribution": None,
        "distribution_reason": "Not said whether the stack is in distribution: too few wells.",
    }
    told = fake_service.stack_body

    def of_few_wells(stack, params):
        bodies = told(stack, params)
        return {**bodies, "/predict": bodies["/predict"] | few}

    monkeypatch.setattr(fake_service, "stack_body", of_few_wells)
    second = tmp_path / "second.tif"
    second.write_bytes(stack_file.read_bytes())
    result = run("predict", stack_file, second)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [{name: answer[name] for name in few} for answer in answers] == [few, few]
    assert result.stderr.splitlines() == [
        f"phenoclient: {few[name]}" for name in few if name.endswith("reason")
    ]


def test_explain_tells_of_the_stains_when_asked(run, service, stack_file, tmp_path):
    """`--stains` prints the value of every stain, and asks for the bars in the overlay; without it neither."""
    (answer,) = lines(run("explain", stack_file))
    assert answer["stains"] is None
    (answer,) = lines(
        run("explain", stack_file, "--stains", "--png", tmp_path / "a.png", "--tiff", tmp_path / "a.tif")
    )
    assert answer["stains"] == {
        "values": {"DNA": 1.5, "RNA": -0.25},
        "baseline_logit": -0.5,
        "logit": 0.75,
        "baseline": "field_mean",
    }
    asked = [request.url.params.get("stains") for request in service.requests]
    assert asked == [None, "true", "true", None]


def test_single_channel_files_are_one_stack(run, service, channel_files, stack):
    """Several files of one channel each are the channels of one stack, in the order of the command line."""
    (answer,) = lines(run("predict", *channel_files))
    assert answer["files"] == [str(path) for path in channel_files]
    np.testing.assert_array_equal(service.stacks[0], stack)


def test_each_file_can_be_said_to_be_a_stack(run, service, channel_files, stack):
    """`--each-file` sends every file by itself, also files of one channel."""
    assert len(lines(run("predict", "--each-file", *channel_files))) == 2
    np.testing.assert_array_equal(np.concatenate(service.stacks), stack)


def test_one_stack_can_be_said(run, service, tmp_path, stack):
    """`--one-stack` makes a stack of a single file of one channel, too."""
    path = tmp_path / "w1.png"
    path.write_bytes(imagecodecs.png_encode(stack[0]))
    assert len(lines(run("predict", "--one-stack", path))) == 1
    np.testing.assert_array_equal(service.stacks[0], stack[:1])


def test_a_mixture_of_channels_and_stacks_must_be_explained(run, service, channel_files, stack_file):
    """Files of which some hold one channel and some more are a usage error that names both ways out."""
    result = run("predict", channel_files[0], stack_file)
    assert result.exit_code == ExitCode.USAGE
    assert "--one-stack" in result.stderr
    assert "--each-file" in result.stderr
    assert service.requests == []


def test_colours_and_pages_are_not_single_channels(run, service, tmp_path):
    """A PNG or TIFF in colour counts as more than one channel, so several are not silently made one stack."""
    for name in ("a.png", "b.png"):
        colours = np.zeros((40, 36, 3), np.uint8)
        (tmp_path / name).write_bytes(imagecodecs.png_encode(colours))
    result = run("predict", tmp_path / "a.png", tmp_path / "b.png")
    assert result.exit_code == ExitCode.FILE
    assert "a.png" in message(result)
    assert service.requests == []


def test_options_become_the_request(run, service, stack_file):
    """Key, channel order, kind and treatment of the command line reach the service."""
    lines(run("embed", stack_file, "--kind", "projection", "--channels", "RNA, DNA", "--api-key", "k"))
    lines(run("explain", stack_file, "--treatment", "EMPTY", PHENOCLIENT_API_KEY="from-the-environment"))
    first, second = service.requests
    assert dict(first.url.params) == {"kind": "projection", "channels": "RNA,DNA"}
    assert first.headers["authorization"] == "Bearer k"
    assert dict(second.url.params) == {"treatment": "EMPTY"}
    assert second.headers["authorization"] == "Bearer from-the-environment"


def test_embed_writes_the_embeddings_as_npy(run, stack_file, tmp_path):
    """`--npy` holds what was printed, one row a stack, as float32."""
    out = tmp_path / "embeddings.npy"
    answers = lines(run("embed", "--each-file", stack_file, stack_file, "--npy", out))
    embeddings = np.load(out)
    assert (embeddings.shape, embeddings.dtype) == ((2, 2), np.float32)
    np.testing.assert_array_equal(embeddings, np.float32([answer["embedding"] for answer in answers]))


def test_explain_writes_the_overlay_and_the_map(run, service, stack, stack_file, tmp_path):
    """`--png` and `--tiff` hold the overlay and the map of the very treatment that was printed."""
    png, tiff = tmp_path / "overlay.png", tmp_path / "map.tif"
    (answer,) = lines(run("explain", stack_file, "--png", png, "--tiff", tiff))
    assert answer["heatmap"]["values"] == [[0.0, 0.5, 1.0], [0.25, 0.0, 0.125]]
    assert png.read_bytes() == PNG
    np.testing.assert_array_equal(tifffile.imread(tiff), stack.sum(axis=0).astype(np.float32))
    assert [request.url.params.get("treatment") for request in service.requests] == [
        None,
        "IFN-beta",
        "IFN-beta",
    ]


def test_an_overlay_is_of_one_stack(run, service, stack_file, tmp_path):
    """`--png` with several stacks is a usage error, raised before anything is sent."""
    result = run("explain", stack_file, stack_file, "--png", tmp_path / "overlay.png")
    assert result.exit_code == ExitCode.USAGE
    assert service.requests == []


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, "unknown_channels", ExitCode.REFUSED),
        (413, "body_too_large", ExitCode.REFUSED),
        (415, "not_a_tiff", ExitCode.REFUSED),
        (422, "wrong_channels", ExitCode.REFUSED),
        (422, "invented_tomorrow", ExitCode.REFUSED),
        (500, "internal_error", ExitCode.FAILED),
        (502, "invented_tomorrow", ExitCode.FAILED),
    ],
)
def test_an_error_answer_is_one_line_and_an_exit_code(run, service, stack_file, status, code, exit_code):
    """An error of the service ends the command with its code on one line and the documented exit status."""
    service.next_answers = [problem(status, code)]
    result = run("predict", stack_file)
    assert result.exit_code == exit_code
    about = f"{stack_file}: " if code in {"body_too_large", "not_a_tiff", "wrong_channels"} else ""
    assert message(result) == f"phenoclient: {about}{status} {code}: A detail."


@pytest.mark.parametrize(("status", "code"), [(401, "key_missing"), (401, "key_wrong")])
def test_a_key_that_is_missing_or_wrong_names_its_option(run, service, stack_file, status, code):
    """Where the service asks for a key, the line says by which option and variable the command takes it."""
    service.next_answers = [problem(status, code)]
    result = run("predict", stack_file)
    assert result.exit_code == ExitCode.REFUSED
    assert message(result) == (
        f"phenoclient: {status} {code}: A detail. "
        "On the command line: --api-key KEY, or the variable PHENOCLIENT_API_KEY."
    )


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (
            ["predict", "FILE"],
            ["IFN-beta, probability 0.75", "versus control", "like what the model learned"],
        ),
        (["embed", "FILE"], ["embedding, ", " numbers: "]),
        (["explain", "FILE", "--stains"], ["IFN-beta: the evidence is strongest", "+1.5", "-0.25"]),
        (["bundle"], ["channels, in order", "DNA, RNA", "EMPTY, IFN-beta"]),
    ],
)
def test_a_terminal_gets_tables_and_a_pipe_json(on_terminal, url, run, stack_file, arguments, shown):
    """On a terminal an answer is laid out for eyes; with --json, and where it is piped, it is a line of JSON."""
    arguments = [str(stack_file) if argument == "FILE" else argument for argument in arguments]
    looked_at = on_terminal("phenoclient", *arguments, PHENOCLIENT_URL=url)
    assert (looked_at.returncode, looked_at.stderr) == (0, "")
    assert "{" not in looked_at.stdout
    for text in shown:
        assert text in looked_at.stdout
    assert all(len(line) <= 80 for line in looked_at.stdout.splitlines())
    (piped,) = lines(run(*arguments))
    asked = on_terminal("phenoclient", *arguments, "--json", PHENOCLIENT_URL=url).stdout
    assert json.loads(asked) == piped


def test_the_version_is_one_line():
    """`--version` prints the package's version and ends."""
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"phenoclient {metadata.version('phenoserve-client')}\n")


@pytest.mark.parametrize(("status", "code"), [(429, "too_many_requests"), (503, "not_ready")])
def test_a_busy_service_is_told_about_and_then_given_up(run, service, stack_file, status, code):
    """Every wait for a busy service is told on standard error; after the last the exit status says busy."""
    service.next_answers = [problem(status, code) for _ in range(9)]
    result = run("predict", stack_file)
    *waits, last = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (ExitCode.BUSY, "")
    assert len(waits) == 4
    assert all("sending again in" in line for line in waits)
    assert code in last


def test_answers_before_an_error_stay_printed(run, service, stack_file, tmp_path):
    """When a later stack fails, the lines of the earlier ones have been printed."""
    result = run("predict", "--each-file", stack_file, tmp_path / "absent.tif")
    assert result.exit_code == ExitCode.FILE
    assert len(result.stdout.splitlines()) == len(service.requests) == 1
    assert "absent.tif" in result.stderr


def test_an_unreachable_service_has_its_own_exit_code(run, stack_file):
    """Where nothing listens the exit status says so, and the line names the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = run("predict", stack_file, "--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert f"127.0.0.1:{port}" in message(result)


def test_a_silent_service_has_its_own_exit_code(run, stack_file):
    """A service that accepts and never answers ends the command when `--timeout` is over."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        result = run("predict", stack_file, "--url", f"http://127.0.0.1:{port}", "--timeout", "0.2")
    assert result.exit_code == ExitCode.TIMEOUT
    assert "in time" in message(result)


def test_another_kind_of_server_has_its_own_exit_code(run, service, stack_file):
    """An answer that is not phenoserve's is told apart from a failure."""
    service.next_answers = [httpx.Response(200, html="<p>hello</p>")]
    result = run("predict", stack_file)
    assert result.exit_code == ExitCode.NOT_UNDERSTOOD
    assert "text/html" in message(result)


def test_an_output_that_cannot_be_written_is_a_file_error(run, stack_file, tmp_path):
    """When the answer cannot be written to the file asked for, the line names the file."""
    result = run("embed", stack_file, "--npy", tmp_path / "no-such-folder" / "out.npy")
    assert result.exit_code == ExitCode.FILE
    assert "no-such-folder" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["predict"], ["predict", "--url", "ftp://x", "a"], ["embed", "--kind", "x", "a"], ["nonsense"]],
)
def test_a_wrong_command_line_is_a_usage_error(run, arguments):
    """A missing file, an impossible address, an unknown kind or command exit as usage errors do."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
    assert "Error: " in result.stderr or result.stderr.startswith("phenoclient: base_url")


def test_every_error_has_an_exit_code():
    """Whatever phenoclient raises on purpose, the command has an exit status for it that is not 0 or 1."""

    def leaves(error_class: type) -> set[type]:
        children = error_class.__subclasses__()
        return {error_class}.union(*map(leaves, children))

    covered = tuple(error_class for error_class, _ in EXIT_CODES)
    abstract = {name for name in leaves(PhenoclientError) if not issubclass(name, covered)}
    assert {error_class.__name__ for error_class in abstract} == {
        "PhenoclientError",
        "TransportError",
        "ServiceError",
    }
    not_of_errors = {ExitCode.ANSWERED, ExitCode.SITES_FAILED, ExitCode.INTERRUPTED}
    assert {code for _, code in EXIT_CODES} == set(ExitCode) - not_of_errors
    assert exit_code_of(PhenoclientError.__subclasses__()[0]("x")) == ExitCode.FILE


@pytest.mark.parametrize(
    ("command", "option"), [("embed", "--npy"), ("explain", "--png"), ("explain", "--tiff")]
)
def test_a_file_without_a_folder_is_refused_before_any_request(
    run, service, stack_file, tmp_path, command, option
):
    """A file to write whose folder is not there ends the command with the status of files, and nothing is asked."""
    result = run(command, stack_file, option, tmp_path / "absent" / "file")
    assert result.exit_code == ExitCode.FILE
    assert "its folder is not there" in message(result)
    assert service.requests == []


def test_a_plate_prints_what_it_wrote(on_terminal, url, run, folder, stack_file, monkeypatch):
    """The tables and how many sites are in them go to standard output, as JSON where piped; the rest to the other."""
    monkeypatch.chdir(folder.parent)
    for well in ("A01", "A02"):
        (folder / f"{well}_s1.tif").write_bytes(stack_file.read_bytes())
    (folder / "A03_s1.tif").write_bytes(b"no TIFF")
    options = ("plate", folder, "--pattern", "{well}_s{site}.tif")
    result = run(*options)
    counts = {
        "is_complete": True,
        "num_sites": 3,
        "num_resumed": 0,
        "num_failed": 1,
        "num_files_without_site": 0,
    }
    paths = {"results": "plate.csv", "failed": "plate.failed.csv", "journal": "plate.csv.journal"}
    assert (result.exit_code, json.loads(result.stdout)) == (ExitCode.SITES_FAILED, counts | paths)
    assert "failed: plate_A03_1: file: " in result.stderr
    (folder / "A03_s1.tif").unlink()
    seen = on_terminal("phenoclient", *options, "--out", "plate.csv", PHENOCLIENT_URL=url)
    assert seen.stdout.strip() == "2 of 2 sites answered, 2 of them by an earlier run: plate.csv"


def test_the_installed_command_shows_no_traceback(stack_file):
    """The installed command fails with one line and its exit status, without a traceback."""
    command = Path(sys.executable).with_name("phenoclient")
    arguments = [command, "predict", stack_file, "--url", "http://127.0.0.1:1"]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (ExitCode.UNREACHABLE, "")
    assert len(result.stderr.splitlines()) == 1
