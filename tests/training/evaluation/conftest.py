"""Small screens laid out as the RxRx sets are: doses nested in plates, controls on every plate."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

LayOut = Callable[..., pd.DataFrame]


def lay_out(
    num_experiments: int = 2,
    num_doses: int = 3,
    plates_per_dose: int = 2,
    wells_per_treatment: int = 3,
    num_controls: int = 6,
    sites_per_well: int = 2,
    treatments: tuple[str, ...] = ("IFN-a", "IFN-b"),
    unlabelled: tuple[str, ...] = ("Toxin",),
) -> pd.DataFrame:
    rows = []
    for experiment in (f"E-{number + 1}" for number in range(num_experiments)):
        for plate in range(1, num_doses * plates_per_dose + 1):
            dose = 10.0 ** -((plate - 1) // plates_per_dose + 1)
            labels = [name for name in (*treatments, *unlabelled) for _ in range(wells_per_treatment)]
            for well, label in enumerate([*labels, *["EMPTY"] * num_controls]):
                well_name = f"{chr(ord('B') + well // 20)}{well % 20 + 2:02d}"
                well_id = f"{experiment}_{plate}_{well_name}"
                rows += [
                    {
                        "site_id": f"{well_id}_{site}",
                        "well_id": well_id,
                        "cell_type": "HUVEC",
                        "experiment": experiment,
                        "plate": str(plate),
                        "well": well_name,
                        "site": site,
                        "treatment": label,
                        "treatment_conc": float("nan") if label == "EMPTY" else dose,
                    }
                    for site in range(1, sites_per_well + 1)
                ]
    return pd.DataFrame(rows).sort_values("site_id", ignore_index=True)


@pytest.fixture(scope="session")
def screen() -> LayOut:
    return lay_out


@pytest.fixture(scope="session")
def data_root(pytestconfig: pytest.Config) -> Path:
    root = Path(os.environ.get("PHENOSERVE_DATA", pytestconfig.rootpath.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set PHENOSERVE_DATA")
    return root
