"""Each member works in an environment that holds only its own dependencies, built from the lock.

Needs uv, named by the environment variable UV or found on the PATH. The project's own environment is left
alone.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROBE = """
import importlib, importlib.util, json, pkgutil, subprocess, sys
from pathlib import Path

package, command = sys.argv[1:3]
modules, lacking = [package], {}
for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
    if module.name.endswith(".__main__"):
        continue  # importing it would run the command
    modules.append(module.name)
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        lacking[module.name] = error.name
executable = Path(sys.prefix, "bin", command)
help_page = subprocess.run([executable, "--help"], capture_output=True, text=True)
print(json.dumps({
    "prefix": sys.prefix,
    "modules": modules,
    "lacking": lacking,
    "importable": [name for name in sys.argv[3:] if importlib.util.find_spec(name)],
    "help": [help_page.returncode, help_page.stdout, help_page.stderr],
}))
"""

DISTRIBUTIONS = ("phenoserve", "phenoserve-client", "phenoserve-training")
TRAINING_ONLY = ("phenotrain", "tensorflow", "keras", "tf2onnx", "onnx")
QT_MODULES = ("bars", "dock", "qt")  # of the napari plugin: Qt's classes are their bases
LACKING = {"phenoserve-client": {f"phenoclient.napari.{name}": "qtpy" for name in QT_MODULES}}
MEMBERS = {
    "phenoserve-client": ("phenoclient", ("phenoserve", "fastapi", "onnxruntime", "napari", *TRAINING_ONLY)),
    "phenoserve": ("phenoserve", ("phenoclient", *TRAINING_ONLY)),
}


@pytest.fixture(scope="module")
def uv() -> str:
    found = os.environ.get("UV") or shutil.which("uv")
    if not found or not shutil.which(found):
        pytest.skip("uv is neither named by UV nor on the PATH")
    return found


def probe(uv: str, member: str, package: str, strangers: tuple[str, ...], workplace: Path) -> dict:
    """What the member's own environment holds, after every module of it has been imported there."""
    command = [uv, "run", "--isolated", "--frozen", "--no-dev", "--project", str(ROOT)]
    command += ["--no-editable", *(f"--reinstall-package={name}" for name in DISTRIBUTIONS)]
    command += ["--python", sys.executable, "--package", member, "python", "-I", "-c", PROBE]
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(workplace / "environment")}
    environment.pop("VIRTUAL_ENV", None)
    result = subprocess.run(
        [*command, package, package, *strangers],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def assert_works_alone(found: dict, package: str) -> None:
    returncode, stdout, stderr = found["help"]
    assert (returncode, stderr) == (0, "")
    assert package in stdout
    assert f"{package}.cli" in found["modules"]
    assert Path(found["prefix"]).resolve() != Path(sys.prefix).resolve()


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_needs_only_its_own_dependencies(uv, member, tmp_path):
    """Every module of the member imports, and its command runs, without what the others, and its extras, depend on.

    Only the modules that show something in napari need Qt, and say so by its name.
    """
    package, strangers = MEMBERS[member]
    found = probe(uv, member, package, strangers, tmp_path)
    assert_works_alone(found, package)
    assert found["lacking"] == LACKING.get(member, {})
    assert found["importable"] == []


def test_the_service_s_wheel_holds_its_font_and_the_font_s_licence(uv, tmp_path):
    """The wheel holds the font, and its metadata names the font's licence and the file with its text."""
    command = [
        uv,
        "build",
        "--wheel",
        "--package",
        "phenoserve",
        "--python",
        sys.executable,
        "-o",
        str(tmp_path),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    source = ROOT / "service/src/phenoserve/overlay/font"

    with zipfile.ZipFile(wheel) as file:
        [metadata] = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        told = message_from_bytes(file.read(metadata))
        [licence] = told.get_all("License-File", [])
        text = file.read(f"{Path(metadata).parent}/licenses/{licence}")
        font = file.read("phenoserve/overlay/font/DejaVuSans.ttf")

    assert told["License-Expression"] == "MIT AND Bitstream-Vera"
    assert text == (source / "LICENSE_DEJAVU.txt").read_bytes()
    assert font == (source / "DejaVuSans.ttf").read_bytes()


@pytest.mark.slow
@pytest.mark.training
def test_the_training_member_needs_only_its_own_dependencies(uv, tmp_path):
    """Every module of phenotrain imports, and its command runs, where the client is absent."""
    found = probe(uv, "phenoserve-training", "phenotrain", ("phenoclient", "stamina"), tmp_path)
    assert_works_alone(found, "phenotrain")
    assert found["lacking"] == {}
    assert found["importable"] == []
