"""The command `phenotrain quantize`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from phenotrain.terminal import AsJson, messages


class Lower(StrEnum):
    """A precision below fp32."""

    INT8 = "int8"
    FP16 = "fp16"


def quantize(
    dataset: Annotated[
        str, typer.Argument(help="Name of a shipped description, or the path of a .toml file.")
    ],
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of the screen that the bundle learned from.", exists=True, file_okay=False
        ),
    ],
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Argument(help="Folder to write the new bundle to; must not exist.")],
    precision: Annotated[
        list[Lower] | None, typer.Option(help="A precision to add; repeatable.", show_default="int8")
    ] = None,
    calibration_sites: Annotated[
        int, typer.Option(min=1, help="Training sites that the ranges of int8 come from.")
    ] = 32,
    sites: Annotated[
        int, typer.Option(min=1, help="Most held-out sites that the change is measured on.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the draws of sites.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Add a graph of lower precision to a bundle, unless it loses more than half a point of accuracy."""
    # ONNX Runtime and its converters take seconds to import, too long for `--help`.
    from phenotrain.quantize.command import QuantizeRequest, quantize_command

    request = QuantizeRequest(
        dataset=dataset,
        data=data,
        bundle=bundle,
        out=out,
        precisions=tuple(one.value for one in precision or (Lower.INT8,)),
        num_calibration_sites=calibration_sites,
        max_sites=sites,
        seed=seed,
    )
    raise typer.Exit(quantize_command(messages(), request, as_json=as_json))
