"""What `phenotrain profile` does with its arguments, and how it says what went wrong."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from phenoserve.bundle import BundleError, read_bundle
from phenoserve.engine import Device, Engine, EngineError
from phenotrain.bundle_screen import ReadStack, ScreenMismatchError, open_screen, require_fit
from phenotrain.cache import CacheError, FieldCache
from phenotrain.cache.prepare import SIMULATED
from phenotrain.datasets import Description, DescriptionError, load_description
from phenotrain.datasets.spelling import not_among
from phenotrain.files import written
from phenotrain.plates import PlateError, site_files
from phenotrain.profiles.correction import Batch
from phenotrain.profiles.embed import embed_screen, images_of
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.files import write_csv, write_json, write_profiles
from phenotrain.profiles.findings import ProfileFindings, find_profiles
from phenotrain.profiles.screen_roles import roles_of
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.report.profiles import profiles_page
from phenotrain.terminal import fail, show_result

MENDABLE = (
    BundleError,
    CacheError,
    DescriptionError,
    EngineError,
    OSError,
    PlateError,
    ProfileError,
    ScreenMismatchError,
)
"""What a user can mend; anything else is a defect and shows its traceback."""


@dataclass(frozen=True)
class ProfileRequest:
    """The command's arguments, as `phenotrain.profiles.cli` documents them."""

    dataset: str
    data: Path
    bundle: Path
    out: Path
    cache: Path | None
    batch: Batch
    treatments: tuple[str, ...]
    num_top_doses: int
    max_components: int | None
    num_draws: int
    seed: int
    device: Device


def profile_command(console: Console, request: ProfileRequest, *, as_json: bool) -> int:
    """Embed, correct, look and write.

    Args:
        console: Where progress, findings and errors go.
        request: The arguments.
        as_json: Print the result as JSON.

    Returns:
        The command's exit code: 0, or 1 after an error that the user can mend.
    """
    try:
        findings, origin = _profile(console, request)
    except MENDABLE as error:
        return fail(console, error)
    show_result(
        {
            "profiles": str(request.out),
            "report": str(request.out / "report.html"),
            "headline": findings.headline,
            "notes": [*origin, *findings.notes],
        },
        findings.headline,
        *origin,
        *findings.notes,
        f"Profiles, tables and report.html in {request.out}",
        as_json=as_json,
    )
    return 0


def _profile(console: Console, request: ProfileRequest) -> tuple[ProfileFindings, list[str]]:
    description = load_description(request.dataset)
    bundle = read_bundle(request.bundle)
    control = description.task.control
    require_fit(description, bundle)
    sites, read_stack, images = _screen(request, description)
    labels = sites["treatment"].unique()
    unknown = [not_among("treatment", name, labels) for name in request.treatments if name not in set(labels)]
    if unknown:
        raise ProfileError(f"{' '.join(unknown)} Write `--treatment` as the table does.")
    roles, fitted_on = roles_of(bundle, sites)
    engine = Engine.load(bundle, device=request.device)
    with step_bar("Embeddings", console) as on_site:
        embeddings = embed_screen(
            engine,
            read_stack,
            list(sites["site_id"]),
            request.out / "embeddings",
            images=images,
            on_site=on_site,
        )
    with uncounted_step("Profiles", console):
        findings = find_profiles(
            sites,
            embeddings,
            roles,
            control,
            treatments=request.treatments or None,
            seed=request.seed,
            batch=request.batch,
            num_top_doses=request.num_top_doses,
            num_draws=request.num_draws,
            max_components=request.max_components,
        )
    origin: list[str] = []
    if findings.is_fitted_on_training:
        origin = [fitted_on]
    elif findings.correction is not None:
        num = findings.correction.num_training_controls
        origin = [
            f"Too few of the controls are of the bundle's training sites: the correction is fitted on all {num}."
        ]
    with uncounted_step("Files and report", console):
        write_profiles(request.out, findings)
        write_csv(request.out / "activity.csv", findings.activity)
        write_csv(request.out / "batch_effect.csv", findings.batch_effect)
        similarity = request.out / "similarity.csv"
        if findings.similarity is None:
            # An earlier run's would pass for this one's.
            similarity.unlink(missing_ok=True)
        else:
            write_csv(similarity, findings.similarity.pairs())
        numbers = {**findings.to_json(), "bundle": bundle.digest, "roles": fitted_on}
        write_json(request.out / "findings.json", numbers)
        simulated = (request.data / SIMULATED).is_file()
        if bundle.manifest.provenance.dataset.simulated and not simulated:
            origin.append(
                "The bundle learned from simulated images, so its embeddings say nothing of real cells."
            )
        page = profiles_page(
            findings,
            title=f"Profiles by {bundle.manifest.name} {bundle.manifest.version}",
            subtitle=f"{description.title or description.name} · licence of the data: {description.licence}",
            notes=origin,
            simulated=simulated,
            unit_of=description.table.unit_of,
        )
        written(request.out / "report.html", lambda path: path.write_text(page, "utf-8"))
    return findings, origin


def _screen(request: ProfileRequest, description: Description) -> tuple[pd.DataFrame, ReadStack, str]:
    """Return the sites, what reads their stacks, and what tells their images from others."""
    if request.cache is not None:
        cache = FieldCache.open(request.cache)
        if tuple(cache.stains) != tuple(description.stains):
            raise ProfileError(
                f"The cache {request.cache} is of {cache.description.name!r} with other stains. Pass this dataset's."
            )
        return cache.sites, cache.read_raw, images_of(cache.files(row) for row in range(len(cache)))
    sites, read_stack = open_screen(
        description,
        request.data,
        "Repair them, or leave such sites out: "
        f"`phenotrain cache {request.dataset} {request.data} FOLDER --skip-incomplete`, then `--cache FOLDER` here.",
    )
    files = site_files(description, sites)
    return sites, read_stack, images_of([request.data / file for file in of_site] for of_site in files)
