"""The Dockerfiles, the compose file and the hooks, read as data: no Docker engine is needed."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILES = ("service/Dockerfile", "training/Dockerfile")
MEMBER_FOLDERS = ("service", "training", "clients/python")


class Instruction(NamedTuple):
    """One instruction of a Dockerfile, its continued lines joined."""

    word: str
    arguments: str


def instructions(dockerfile: str) -> list[Instruction]:
    text = (ROOT / dockerfile).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*line.strip().partition(" ")[::2]) for line in joined.splitlines() if line.strip()]


def project(folder: str) -> dict:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]


MEMBERS = {project(folder)["name"]: project(folder) for folder in MEMBER_FOLDERS}


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def syncs(dockerfile: str) -> list[list[str]]:
    """Every call of `uv sync` in the RUN lines, as words."""
    runs = " && ".join(i.arguments for i in instructions(dockerfile) if i.word == "RUN")
    return [shlex.split(call) for call in re.findall(r"\buv sync[^&;|]*", runs)]


def value_after(call: list[str], option: str) -> list[str]:
    return [call[index + 1] for index, word in enumerate(call) if word == option]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_copied_path_exists_and_reaches_the_builder(dockerfile):
    """What a Dockerfile copies from the repository is there, and .dockerignore lets it through."""
    admitted = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    for instruction in instructions(dockerfile):
        if instruction.word != "COPY" or "--from=" in instruction.arguments:
            continue
        *sources, _ = [word for word in shlex.split(instruction.arguments) if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(source == name or source.startswith(f"{name}/") for name in admitted), source


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_uv_installs_a_member_that_exists_from_the_lock(dockerfile):
    """Each `uv sync` names a member of the workspace and no unknown extra, and holds to the lock."""
    assert syncs(dockerfile)
    for call in syncs(dockerfile):
        assert "--locked" in call or "--frozen" in call
        (member,) = value_after(call, "--package")
        extras = {name for name in value_after(call, "--extra") if not name.startswith("$")}
        assert extras <= set(MEMBERS[member].get("optional-dependencies", {}))


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_the_lock_sees_every_member_before_uv_runs(dockerfile):
    """Uv checks the lock against all members, so each pyproject.toml is copied before the first sync."""
    copied: list[str] = []
    for instruction in instructions(dockerfile):
        if instruction.word == "COPY":
            copied += shlex.split(instruction.arguments)
        if instruction.word == "RUN" and "uv sync" in instruction.arguments:
            break
    for folder in MEMBER_FOLDERS:
        assert f"{folder}/pyproject.toml" in copied or folder in copied or "." in copied, folder


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_the_container_runs_a_command_of_its_member_as_an_ordinary_user(dockerfile):
    """The last USER is a number other than 0; the entry point is a script of the installed member."""
    found = instructions(dockerfile)
    user = [i.arguments for i in found if i.word == "USER"][-1]
    assert int(user.split(":")[0]) > 0
    entry = [i.arguments for i in found if i.word == "ENTRYPOINT"][-1]
    (member,) = {value_after(call, "--package")[0] for call in syncs(dockerfile)}
    assert yaml.safe_load(entry)[0] in MEMBERS[member]["scripts"]


def test_compose_builds_what_is_there_with_arguments_that_are_declared(compose):
    """Every build names a Dockerfile of the repository and passes only arguments that it declares."""
    for build in [service["build"] for service in compose["services"].values() if "build" in service]:
        dockerfile = build["dockerfile"]
        assert build["context"] == "."
        assert dockerfile in DOCKERFILES
        declared = {i.arguments.split("=")[0] for i in instructions(dockerfile) if i.word == "ARG"}
        assert set(build.get("args", {})) <= declared


def test_the_service_can_write_nothing_and_become_nobody_else(compose):
    """Service containers have a read-only root and bundle, a plain user, no capabilities, a local port."""
    for name in ("service", "service-gpu"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert int(service["user"].split(":")[0]) > 0
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        (bundle,) = service["volumes"]
        assert bundle["target"] == "/bundle"
        assert bundle["read_only"] is True
        assert service["command"] == ["serve", "/bundle"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_training_keeps_its_weights_and_its_home_whoever_runs_it(compose):
    """The weights' volume lies where the image has Keras look, which any user may write, as is HOME."""
    found = instructions("training/Dockerfile")
    words = [word for i in found if i.word == "ENV" for word in shlex.split(i.arguments)]
    variables = dict(word.split("=", 1) for word in words)
    runs = " ".join(i.arguments for i in found if i.word == "RUN")
    assert f"install --directory --mode=1777 {variables['KERAS_HOME']}" in runs
    assert variables["HOME"] == "/tmp"
    for name in ("training", "training-gpu"):
        volumes = [volume for volume in compose["services"][name]["volumes"] if isinstance(volume, str)]
        assert volumes == [f"weights:{variables['KERAS_HOME']}"]


def test_profiles_keep_gpus_and_training_out_of_a_plain_start(compose):
    """Without a profile only the CPU service starts; what asks for a GPU says so by its profile and name."""
    services = compose["services"]
    assert [name for name, service in services.items() if "profiles" not in service] == ["service"]
    for name, service in services.items():
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert bool(devices) == name.endswith("-gpu")
        for device in devices:
            assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert {"gpu", "training"} <= {profile for s in services.values() for profile in s.get("profiles", [])}


def test_compose_sets_only_settings_that_the_service_has(compose):
    """Every PHENOSERVE_ variable in the compose file is a setting, and its value is accepted."""
    from phenoserve.settings import Settings

    ours = [service for service in compose["services"].values() if "build" in service]
    for service in ours:
        for variable, value in service.get("environment", {}).items():
            assert variable.startswith("PHENOSERVE_")
            name = variable.removeprefix("PHENOSERVE_").lower()
            assert name in Settings.model_fields
            assert str(getattr(Settings(**{name: value}), name)) == value


def test_monitoring_is_pinned_locked_and_local(compose):
    """Monitoring starts by its profile alone, at a version, writes only where it must, and listens here only."""
    monitoring = {name: s for name, s in compose["services"].items() if "monitoring" in s.get("profiles", [])}
    assert set(monitoring) == {"prometheus", "grafana"}
    for service in monitoring.values():
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])
        assert service["read_only"] is True
        assert int(service["user"].split(":")[0]) > 0
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for source, _, *options in [volume.split(":") for volume in service["volumes"]]:
            assert options == ["ro"] if source.startswith("./") else source in compose["volumes"]
            assert not source.startswith("./") or (ROOT / source).exists()


def test_the_hooks_run_the_locked_tools():
    """The hooks are local, run through uv, and check types and imports on push only."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    hooks = {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}
    assert set(hooks) == {
        "ruff-check",
        "ruff-format",
        "uv-lock",
        "codespell",
        "large-files",
        "pyright",
        "import-linter",
    }
    assert all(hook["entry"].startswith("uv ") for hook in hooks.values())
    on_push = {name for name, hook in hooks.items() if hook.get("stages") == ["pre-push"]}
    assert on_push == {"pyright", "import-linter"}
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert {"ruff", "codespell", "pyright", "import-linter", "pre-commit"} <= {p["name"] for p in locked}
