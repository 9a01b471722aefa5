"""The command line: settings from flags and environment, and clear endings."""

import json
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from phenoserve import cli
from phenoserve.settings import Settings

runner = CliRunner()
VALUES: dict[str, tuple[str, object]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("8123", 8123),
    "device": ("cpu", "cpu"),
    "precision": ("fp32", "fp32"),
    "workers": ("2", 2),
    "num_inferences": ("4", 4),
    "num_threads": ("3", 3),
    "num_threads_alone": ("2", 2),
    "max_batch": ("7", 7),
    "max_gpu_mib": ("1024", 1024),
    "num_decoders": ("5", 5),
    "max_queue": ("12", 12),
    "max_queue_mib": ("12.5", 12.5),
    "attribution_share": ("0.4", 0.4),
    "max_in_flight": ("5", 5),
    "max_in_flight_mib": ("9.5", 9.5),
    "max_body_mib": ("1.5", 1.5),
    "max_decoded_mib": ("2.5", 2.5),
    "max_field_mpx": ("3.5", 3.5),
    "max_stacks": ("6", 6),
    "body_timeout_s": ("7.5", 7.5),
    "deadline_s": ("6.5", 6.5),
    "api_keys_file": ("keys.txt", Path("keys.txt")),
    "admin_keys_file": ("admin.txt", Path("admin.txt")),
    "root_path": ("/pheno", "/pheno"),
    "cors_origins": ("https://lab.example", "https://lab.example"),
    "docs": ("off", "off"),
    "metrics": ("off", "off"),
    "drain_s": ("8", 8),
    "shutdown_timeout_s": ("9", 9),
    "max_connections": ("100", 100),
    "head_timeout_s": ("7", 7),
    "min_body_kib_per_s": ("1", 1),
    "write_timeout_s": ("7", 7),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
}
"""A text and the value it means, for every setting."""


def test_every_setting_is_tried() -> None:
    """The values of this file are of all settings."""
    assert set(VALUES) == set(Settings.model_fields)


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_is_a_flag_and_a_variable(name: str, tiny_bundle, served, monkeypatch) -> None:
    """Each setting can be given as a flag or in the environment, and the flag wins."""
    text, value = VALUES[name]
    flag = f"--{name.replace('_', '-')}"
    assert runner.invoke(cli.app, ["serve", str(tiny_bundle), flag, text]).exit_code == 0
    monkeypatch.setenv(f"PHENOSERVE_{name.upper()}", text)
    assert runner.invoke(cli.app, ["serve", str(tiny_bundle)]).exit_code == 0
    others = {
        "device": "auto",
        "precision": "auto",
        "log_level": "error",
        "host": "localhost",
        "log_format": "text",
        "attribution_share": "0.75",
        "root_path": "/other",
    }
    other = (others | {"docs": "on", "metrics": "on", "cors_origins": "http://other.example"}).get(name, "11")
    assert runner.invoke(cli.app, ["serve", str(tiny_bundle), flag, other]).exit_code == 0
    assert getattr(served[0], name) == getattr(served[1], name) == value
    assert str(getattr(served[2], name)) in {other, f"{other}.0"}


def test_the_bundle_may_stand_in_the_environment(tiny_bundle, served, monkeypatch) -> None:
    """`PHENOSERVE_BUNDLE` stands in for the argument."""
    monkeypatch.setenv("PHENOSERVE_BUNDLE", str(tiny_bundle))
    assert runner.invoke(cli.app, ["serve"]).exit_code == 0
    assert len(served) == 1


@pytest.mark.parametrize(
    ("flags", "exit_code", "told"),
    [
        (["--port", "99999"], 2, "PHENOSERVE_PORT"),
        (["--max-body-mib", "0"], 2, "--max-body-mib"),
        (["--cors-origins", "*"], 2, "PHENOSERVE_CORS_ORIGINS"),
        (["--cors-origins", "https://lab.example/"], 2, "--cors-origins"),
        (["--api-keys-file", "/nowhere/keys"], 1, "/nowhere/keys"),
        (["--admin-keys-file", "/nowhere/admin"], 1, "/nowhere/admin"),
    ],
)
def test_an_impossible_setting_ends_in_a_sentence(tiny_bundle, flags, exit_code, told) -> None:
    """A setting that cannot be is told on stderr with its flag and variable, and the exit code is not 0."""
    result = runner.invoke(cli.app, ["serve", str(tiny_bundle), "--port", "0", *flags])
    assert result.exit_code == exit_code
    assert told in result.stderr
    assert not result.stdout


@pytest.fixture
def altered(tiny_bundle, tmp_path) -> Path:
    """A copy of the bundle with one byte of the graph changed."""
    path = shutil.copytree(tiny_bundle, tmp_path / "altered")
    content = bytearray((path / "model.onnx").read_bytes())
    content[100] ^= 1
    (path / "model.onnx").write_bytes(content)
    return path


@pytest.mark.parametrize("command", ["serve", "verify"])
def test_a_bad_bundle_ends_in_a_sentence(command: str, altered) -> None:
    """A bundle that cannot be trusted is told on stderr, naming the file; exit code 1, no traceback."""
    program = Path(sys.executable).with_name("phenoserve")
    result = subprocess.run(
        [program, command, altered], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 1
    assert result.stderr.startswith("phenoserve: ")
    assert "model.onnx" in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout


OUTPUTS = {"embedding", "projection", "logits", "versus_control", "heatmap", "forest"}


def test_verify_prints_every_difference(tiny_bundle, on_terminal) -> None:
    """On a terminal `verify` prints a row for each output of each golden stack, and ends with 0."""
    result = on_terminal("phenoserve", "verify", tiny_bundle, "--device", "cpu")
    assert result.returncode == 0
    for output in OUTPUTS:
        assert result.stdout.count(f" {output} ") == 2
    assert " ok " in result.stdout


def test_a_piped_result_is_json(tiny_bundle, on_terminal) -> None:
    """`verify` prints JSON where its output is piped, and on a terminal with --json."""
    arguments = ["verify", str(tiny_bundle), "--device", "cpu"]
    piped = json.loads(runner.invoke(cli.app, arguments).stdout)
    assert piped == json.loads(on_terminal("phenoserve", *arguments, "--json").stdout)
    (replay,) = piped["replays"]
    assert piped["is_ok"]
    assert replay["is_ok"]
    assert {found["output"] for found in replay["differences"]} == OUTPUTS


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_one_line(tiny_bundle, workers) -> None:
    """A port that somebody listens on ends `serve` with one line that names it and what to do, and no result."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = runner.invoke(
            cli.app, ["serve", str(tiny_bundle), "--port", str(port), "--workers", workers]
        )
    assert result.exit_code == 1
    assert result.stderr == (
        f"phenoserve: 127.0.0.1, port {port}, cannot be listened on (Address already in use). "
        "Pass another --port or --host, or end what listens there.\n"
    )
    assert not result.stdout


def test_tune_looks_at_its_file_before_it_measures(tiny_bundle, tmp_path) -> None:
    """A file that cannot be written is named at once, in one line."""
    out = tmp_path / "absent" / "phenoserve.env"
    result = runner.invoke(cli.app, ["tune", str(tiny_bundle), "--out", str(out)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"phenoserve: --out {out} cannot be written. Expected a file in a folder that exists."
    ]


def test_the_version_names_the_runtime() -> None:
    """`--version` prints the package's version and ONNX Runtime's in one line."""
    result = runner.invoke(cli.app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"phenoserve {metadata.version('phenoserve')} (onnxruntime ")
    assert result.stdout.count("\n") == 1


def test_a_mismatch_fails_verify(tiny_bundle, monkeypatch) -> None:
    """A bundle that answers its golden stacks otherwise ends `verify` with 1."""
    (report,) = cli.verify_bundle(tiny_bundle, "cpu")
    wrong = tuple(difference.__class__(0, "logits", 1.0, 1.0, 0.1) for difference in report.differences)
    monkeypatch.setattr(cli, "verify_bundle", lambda *_: (report.__class__(report.bundle, "cpu", wrong),))
    result = runner.invoke(cli.app, ["verify", str(tiny_bundle)])
    assert result.exit_code == 1
    assert not json.loads(result.stdout)["is_ok"]
    assert "golden stacks" in result.stderr


def test_the_module_is_the_command(capsys) -> None:
    """The command is a typer application with three commands."""
    commands = typer.main.get_command(cli.app).commands
    assert set(commands) == {"serve", "tune", "verify"}
