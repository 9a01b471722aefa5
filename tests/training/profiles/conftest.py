"""Screens of made-up well profiles: plates that look different, treatments with a planted effect or none."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from phenotrain.profiles.wells import WellProfiles, well_profiles

NUM_DIMENSIONS = 24


@dataclass(frozen=True)
class Made:
    """Sites, their embeddings and roles, and the profiles of their wells."""

    sites: pd.DataFrame
    embeddings: np.ndarray
    roles: np.ndarray

    @property
    def wells(self) -> WellProfiles:
        """The wells' mean embeddings."""
        return well_profiles(self.sites, self.embeddings, self.roles, "EMPTY")


def make(
    seed: int = 0,
    effects: Mapping[str, np.ndarray] | None = None,
    *,
    num_experiments: int = 2,
    num_doses: int = 2,
    num_controls: int = 12,
    wells_per_treatment: int = 3,
    treatments: tuple[str, ...] = ("A", "B", "C"),
    plate_effect: float = 1.0,
    dose_decay: float = 1.0,
    num_dimensions: int = NUM_DIMENSIONS,
    sites_per_well: int = 1,
) -> Made:
    """Dose k on its own two plates of each experiment; the second experiment is the test set."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(num_dimensions, num_dimensions)) / np.sqrt(num_dimensions)
    rows, embeddings, roles = [], [], []
    for experiment in range(1, num_experiments + 1):
        for plate in range(1, 2 * num_doses + 1):
            offset = 3 * plate_effect * rng.normal(size=num_dimensions)
            gain = np.exp(0.4 * plate_effect * rng.normal(size=num_dimensions))
            rank = (plate - 1) // 2
            labels = [name for name in treatments for _ in range(wells_per_treatment)] + [
                "EMPTY"
            ] * num_controls
            for number, label in enumerate(labels):
                value = rng.normal(size=num_dimensions) @ mixing
                if effects and label in effects:
                    value = value + effects[label] * dose_decay**rank
                well = f"{chr(ord('B') + number // 20)}{number % 20 + 2:02d}"
                for site in range(1, sites_per_well + 1):
                    rows.append(
                        {
                            "site_id": f"E{experiment}_{plate}_{well}_{site}",
                            "well_id": f"E{experiment}_{plate}_{well}",
                            "cell_type": "HUVEC",
                            "experiment": f"E{experiment}",
                            "plate": str(plate),
                            "well": well,
                            "site": site,
                            "treatment": label,
                            "treatment_conc": float("nan") if label == "EMPTY" else 10.0**-rank,
                        }
                    )
                    embeddings.append(value * gain + offset)
                    roles.append("test" if experiment > 1 else "train")
    return Made(pd.DataFrame(rows), np.array(embeddings, np.float32), np.array(roles))


@pytest.fixture(scope="session")
def make_screen():
    return make
