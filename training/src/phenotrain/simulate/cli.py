"""The command `phenotrain simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from phenotrain.simulate.phenotypes import PHENOTYPES
from phenotrain.simulate.screen import simulate_screen
from phenotrain.simulate.spec import DOSE_LADDER, ScreenSpec
from phenotrain.terminal import AsJson, messages, show_result

_DOSES = ", ".join(f"{dose:g}" for dose in DOSE_LADDER)


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write; it must be new or empty.")],
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    field_px: Annotated[
        int, typer.Option(help="Side of a field in pixels; fewer pixels show fewer cells.")
    ] = 1024,
    num_experiments: Annotated[int, typer.Option(help="Number of experiments, HUVEC-1, HUVEC-2, ….")] = 2,
    dose: Annotated[
        list[float] | None, typer.Option(help=f"A dose to use; repeatable. All of {_DOSES}.")
    ] = None,
    treatment: Annotated[
        list[str] | None,
        typer.Option(help=f"A treatment to use; repeatable. All of {', '.join(PHENOTYPES)}."),
    ] = None,
    wells_per_treatment: Annotated[int, typer.Option(help="Wells a plate for every treatment.")] = 3,
    control_wells: Annotated[int, typer.Option(help="Untreated wells a plate.")] = 80,
    sites_per_well: Annotated[int, typer.Option(help="Fields of view a well.")] = 4,
    effect: Annotated[
        bool, typer.Option("--effect/--no-effect", help="Whether the treatments do anything to the cells.")
    ] = True,
    responding_share: Annotated[
        float, typer.Option(help="Share of each field, as one disc, within which cells respond.")
    ] = 1.0,
    num_workers: Annotated[
        int | None, typer.Option(help="Number of processes; one a core by default.")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show the progress.")] = True,
    as_json: AsJson = False,
) -> None:
    """Simulate a screen in RxRx2's layout, with the truth beside the images. It is not real data."""
    defaults = ScreenSpec()
    try:
        spec = ScreenSpec(
            seed=seed,
            field_px=field_px,
            num_experiments=num_experiments,
            doses=tuple(dose) if dose else defaults.doses,
            treatments=tuple(treatment) if treatment else defaults.treatments,
            wells_per_treatment=wells_per_treatment,
            control_wells=control_wells,
            sites_per_well=sites_per_well,
            effect=effect,
            responding_share=responding_share,
        )
        simulate_screen(out, spec, num_workers=num_workers, console=messages() if progress else None)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'screen'}: {e['msg']}" for e in error.errors())
        raise typer.BadParameter(reasons) from error
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    show_result(
        {"screen": str(out), "num_sites": spec.num_sites},
        f"{spec.num_sites} simulated sites in {out} (see {out / 'SIMULATED.json'})",
        as_json=as_json,
    )
