"""Where a bundle comes from: code, packages, data, recipe."""

import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from phenoserve.bundle import DatasetProvenance, Provenance
from phenotrain.cache import FieldCache
from phenotrain.recipe import Recipe

_PACKAGES = (
    "phenoserve",
    "phenoserve-training",
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "scikit-learn",
    "numpy",
)


def provenance_of(cache: FieldCache, recipe: Recipe, split: dict[str, Any]) -> Provenance:
    """Collects what the manifest records.

    Args:
        cache: The pooled fields the run read.
        recipe: The recipe it followed.
        split: The split's description; a bundle's has `learned_wells` too.

    Returns:
        The provenance section of the manifest.
    """
    description = cache.description
    name, licence = description.title or description.name, description.licence
    if cache.simulated:
        # Only the layout is the real screen's; neither its title nor its licence holds for drawn images.
        name, licence = f"Simulated screen in the layout of {description.name}", "MIT (simulated images)"
    return Provenance(
        git_commit=_git_commit(),
        recipe=recipe.model_dump(mode="json"),
        dataset=DatasetProvenance(
            name=name,
            licence=licence,
            fingerprint=cache.fingerprint,
            simulated=cache.simulated,
        ),
        split=split,
        packages=package_versions(),
    )


def package_versions() -> dict[str, str]:
    """Versions of the packages that shape a bundle, by distribution name."""
    return {name: metadata.version(name) for name in _PACKAGES}


def _git_commit() -> str | None:
    # Of the code, not of the folder that the command was called from; a wheel installed inside somebody's own
    # repository has none.
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git("rev-parse", "HEAD").strip()
        is_modified = _git("status", "--porcelain", "--untracked-files=no", "--", ":/").strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-modified" if is_modified else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  (fixed command)
