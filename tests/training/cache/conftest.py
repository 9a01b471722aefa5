"""Small screens on disk, in the layout of RxRx2 with two stains."""

import os
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from phenotrain.cache import build_cache
from phenotrain.datasets import Description, parse_description

DESCRIPTION = """
name = "small"
licence = "CC0"
[table]
path = "metadata.csv"
[images]
path = "images/{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png"
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]
[task]
control = "EMPTY"
"""


@dataclass(frozen=True)
class Screen:
    """A screen on disk and the stacks that were written."""

    root: Path
    stacks: dict[str, np.ndarray]
    description: Description

    def path(self, site_id: str, channel: int) -> Path:
        """The file of a channel, counted from 1."""
        experiment, plate, well, site = site_id.split("_")
        return self.root / "images" / experiment / f"Plate{plate}" / f"{well}_s{site}_w{channel}.png"

    def build(self, out: Path, **options):
        """The cache of the screen, pooled by 4 in this process unless the options say otherwise."""
        return build_cache(self.description, self.root, out, **{"downsample": 4, "num_workers": 1, **options})


def write_image(path: Path, plane: np.ndarray) -> None:
    if plane.dtype.kind == "f":
        import tifffile

        tifffile.imwrite(path, plane)
    else:
        path.write_bytes(imagecodecs.png_encode(plane))


@pytest.fixture
def make_screen(tmp_path):
    """Write a screen of so many one-site wells with reproducible pixels."""

    def make(num_sites=6, *, shape=(2, 22, 26), dtype="uint8", name="screen"):
        rng = np.random.default_rng(1)
        root = tmp_path / name
        rows = ["site_id,well_id,cell_type,experiment,plate,well,site,treatment,treatment_conc"]
        stacks = {}
        description = parse_description(DESCRIPTION, "small")
        root.mkdir(exist_ok=True)
        (root / "description.toml").write_text(DESCRIPTION, "utf-8")
        screen = Screen(root, stacks, description)
        for index in range(num_sites):
            well = f"B{index:02d}"
            dose = "" if index % 2 == 0 else "0.0009999999999999"
            treatment = "EMPTY" if index % 2 == 0 else "drug, tagged\u00b5"
            site_id = f"E_1_{well}_1"
            cells = (site_id, f"E_1_{well}", "HUVEC", "E", "1", well, "1", f'"{treatment}"', dose)
            rows.append(",".join(cells))
            high = 256 if dtype == "uint8" else 65536
            stacks[site_id] = rng.integers(0, high, shape).astype(dtype)
            for channel, plane in enumerate(stacks[site_id], start=1):
                path = screen.path(site_id, channel)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, plane)
        (root / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
        return screen

    return make


@pytest.fixture
def swap_quietly():
    """Replace a file's content but not its size and time, so that only reading it again would show."""

    def swap(path):
        status = path.stat()
        path.write_bytes(b"\0" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return swap
