"""Every model's results on one side of the split: the headline's doses together, each rank, each dose."""

import numpy as np
import pandas as pd

from phenotrain.doses import dose_rank
from phenotrain.evaluate.classification import Classified, classify
from phenotrain.evaluate.comparison import compare
from phenotrain.evaluate.difference import difference_of
from phenotrain.evaluate.draws import draw
from phenotrain.evaluate.estimates import Difference
from phenotrain.evaluate.metrics import Comparison, RoleMetrics
from phenotrain.evaluate.predictions import CLASSIFIER, Predictions
from phenotrain.evaluate.units import Level, Wells, held_out, scored_sites, with_controls
from phenotrain.grouping import treated_names

_LEVELS: tuple[Level, ...] = ("site", "well")


class Scorer:
    """Scores the predictions of all models, one role after the other.

    Args:
        sites: Sites table.
        classes: In logit order, the control among them.
        control: Name of the control.
        predictions: Row i for row i of `sites`.
        num_top_doses: Doses of each treatment that make up the headline; 0 for all.
        seed: Seed of bootstrap and permutations, the same for every role and dose.
    """

    def __init__(
        self,
        sites: pd.DataFrame,
        classes: tuple[str, ...],
        control: str,
        predictions: Predictions,
        num_top_doses: int,
        seed: int,
    ) -> None:
        self._sites = sites
        self._labels = sites["treatment"].to_numpy(dtype=str)
        self._ranks = dose_rank(sites, control)
        self._classes = classes
        self._control = control
        self._predictions = predictions
        self._num_top_doses = num_top_doses
        self._seed = seed

    def role(self, in_role: np.ndarray) -> RoleMetrics:
        """Score the sites of one role.

        Args:
            in_role: True for its sites, `(num_sites,)`.
        """
        chosen, num_top_doses = scored_sites(
            self._sites, in_role, self._classes, self._control, self._ranks, self._num_top_doses
        )
        headline = self._classified(chosen, None)
        by_rank = [
            found
            for rank, of_rank in self._rank_selections(in_role)
            for found in self._classified(of_rank, rank).values()
        ]
        return RoleMetrics(
            held_out=held_out(self._sites, in_role),
            num_top_doses=num_top_doses,
            num_sites=int(chosen.sum()),
            num_wells=headline[CLASSIFIER, "well"].classification.num_units,
            classification=tuple(found.classification for found in headline.values()),
            versus_control=tuple(
                ranked.comparison for found in headline.values() for ranked in found.versus_control
            ),
            by_dose_rank=tuple(found.classification for found in by_rank),
            by_dose=tuple(self._by_dose(in_role)),
            differences=tuple(_differences(headline)),
        )

    def _classified(self, chosen: np.ndarray, dose_rank: int | None) -> dict[tuple[str, Level], Classified]:
        wells = Wells.among(self._sites, chosen, self._classes)
        draws = draw(wells.codes, wells.plates, np.random.default_rng(self._seed))
        return {
            (model, level): classify(
                model,
                level,
                dose_rank,
                wells.unit_predictions(found, model, level),
                wells,
                draws,
                self._classes,
                self._control,
            )
            for level in _LEVELS
            for model, found in self._predictions.models.items()
        }

    def _rank_selections(self, in_role: np.ndarray) -> list[tuple[int, np.ndarray]]:
        controls = in_role & (self._labels == self._control)
        treated = in_role & np.isin(self._labels, treated_names(self._classes, self._control))
        selections: list[tuple[int, np.ndarray]] = []
        for rank in np.unique(self._ranks[treated & np.isfinite(self._ranks)]):
            chosen = with_controls(self._sites, treated & (self._ranks == rank), controls)
            if set(self._classes) <= set(self._labels[chosen]):
                selections.append((int(rank), chosen))
        return selections

    def _by_dose(self, in_role: np.ndarray) -> list[Comparison]:
        wells = Wells.among(self._sites, in_role & np.isin(self._labels, self._classes), self._classes)
        # Every dose keeps its number of wells, or a draw might hold none of a dose.
        strata = np.column_stack([wells.codes, np.unique(wells.doses, return_inverse=True)[1]])
        draws = draw(strata, wells.plates, np.random.default_rng(self._seed))
        control = self._classes.index(self._control)
        found: list[Comparison] = []
        for model, predicted in self._predictions.models.items():
            scores = wells.unit_predictions(predicted, model, "well").treated_scores(control)
            for column, treatment in enumerate(treated_names(self._classes, self._control)):
                code = self._classes.index(treatment)
                doses = np.unique(wells.doses[wells.codes == code])
                found += [
                    compare(
                        model,
                        "well",
                        scores[:, column],
                        wells,
                        draws,
                        treatment,
                        (code, control),
                        float(dose),
                    ).comparison
                    for dose in doses[np.isfinite(doses)]
                ]
        return found


def _differences(headline: dict[tuple[str, Level], Classified]) -> list[Difference]:
    return [
        difference_of(
            headline[CLASSIFIER, level].balanced_accuracies - found.balanced_accuracies,
            (CLASSIFIER, model),
            level,
            headline[CLASSIFIER, "well"].classification.smallest_class,
        )
        for (model, level), found in headline.items()
        if model != CLASSIFIER
    ]
