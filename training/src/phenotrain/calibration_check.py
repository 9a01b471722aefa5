"""Whether the calibration keeps its word on held-out sites: coverage, reliability, and what gets flagged."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from phenoserve.bundle import Calibration, neighbour_distances
from phenoserve.engine import Graph
from phenoserve.stack import find_notices
from phenotrain.cache import FieldCache
from phenotrain.corruptions import CORRUPTIONS
from phenotrain.labelled import Task

_NUM_BINS: Final = 10
_NUM_CONTROLS: Final = 40
"""Controls that every corruption is tried on, at most."""


@dataclass(frozen=True)
class Share:
    """A counted share with its 95 % Clopper-Pearson interval."""

    num: int
    num_of: int
    low: float
    high: float

    @classmethod
    def of(cls, is_so: np.ndarray) -> "Share":
        """Counts the true entries of `(n,)`, n at least 1."""
        interval = binomtest(int(is_so.sum()), len(is_so)).proportion_ci()
        return cls(int(is_so.sum()), len(is_so), float(interval.low), float(interval.high))

    @property
    def value(self) -> float:
        """The share."""
        return self.num / self.num_of


@dataclass(frozen=True)
class ReliabilityBin:
    """Sites whose largest probability lies in one of ten bins, and how many of them are right."""

    mean_probability: float
    right: Share


@dataclass(frozen=True)
class CalibrationFindings:
    """What was found on the test sites.

    Attributes:
        coverage: The coverage that the prediction sets state.
        num_wells: Wells that the test sites lie in.
        covered: Test sites of each treatment, and of `all`, whose set holds the true treatment; empty without sets.
        mean_set_size: Mean number of treatments in a set; None without sets.
        share_single: Share of the sets that hold one treatment; None without sets.
        prediction_set_reason: Why no sets are given; None where they are.
        reliability: The classifier's largest probability against how often it is right.
        temperature: What the logits were divided by.
        false_positive_rate: Share of validation sites that the limits were set to flag, at most.
        flagged: Share flagged of the held-out controls and treated sites as they are, and of each corruption of
            controls; empty where nothing is flagged.
        distribution_reason: Why nothing is flagged; None where it is.
    """

    coverage: float
    num_wells: int
    covered: Mapping[str, Share]
    mean_set_size: float | None
    share_single: float | None
    prediction_set_reason: str | None
    reliability: tuple[ReliabilityBin, ...]
    temperature: float
    false_positive_rate: float
    flagged: Mapping[str, Share]
    distribution_reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        return asdict(self)


def check_calibration(
    cache: FieldCache,
    scored: np.ndarray,
    task: Task,
    probabilities: np.ndarray,
    embeddings: np.ndarray,
    calibration: Calibration,
    model_onnx: bytes,
    *,
    seed: int,
) -> CalibrationFindings:
    """Checks prediction sets on held-out sites, and the distance on held-out controls and spoilt copies of them.

    Args:
        cache: Pooled fields, and where the original files lie.
        scored: Rows of the test sites that carry a learned treatment or the control.
        task: Treatments and control.
        probabilities: Of the classifier for every site, `(num_sites, treatment)`.
        embeddings: Of every site, `(num_sites, 1024)`.
        calibration: What is checked.
        model_onnx: The exported graph, which the spoilt stacks go through as they would in the service.
        seed: Seed of the choice of controls and of the shuffling.

    Returns:
        The findings. Sites of one well are alike, so the intervals, which take sites as independent, are too narrow.
    """
    names = cache.sites["treatment"].to_numpy(dtype=str)[scored]
    targets = np.array([task.treatments.index(name) for name in names])
    sets, limits = calibration.spec.prediction_sets, calibration.spec.out_of_distribution
    sizes, covered = None, {}
    if sets.reason is None:
        told = [calibration.prediction_set(_by_name(task, row)) or () for row in probabilities[scored]]
        sizes = np.array([len(treatments) for treatments in told])
        is_covered = np.array([name in treatments for name, treatments in zip(names, told, strict=True)])
        of_each = {name: is_covered[names == name] for name in task.treatments if (names == name).any()}
        covered = {name: Share.of(those) for name, those in {**of_each, "all": is_covered}.items()}
    return CalibrationFindings(
        coverage=sets.coverage,
        num_wells=int(cache.sites["well_id"].iloc[scored].nunique()),
        covered=covered,
        mean_set_size=None if sizes is None else float(sizes.mean()),
        share_single=None if sizes is None else float((sizes == 1).mean()),
        prediction_set_reason=sets.reason,
        reliability=reliability(probabilities[scored], targets),
        temperature=calibration.spec.temperature,
        false_positive_rate=calibration.false_positive_rate,
        flagged={}
        if limits.reason is not None
        else _flagged(cache, scored, names == task.control, embeddings, calibration, model_onnx, seed=seed),
        distribution_reason=limits.reason,
    )


def _by_name(task: Task, row: np.ndarray) -> dict[str, float]:
    return dict(zip(task.treatments, row.tolist(), strict=True))


def _flagged(
    cache: FieldCache,
    scored: np.ndarray,
    is_control: np.ndarray,
    embeddings: np.ndarray,
    calibration: Calibration,
    model_onnx: bytes,
    *,
    seed: int,
) -> dict[str, Share]:
    rng = np.random.default_rng(seed)
    flagged: dict[str, Share] = {}
    for name, rows in (
        ("held-out controls", scored[is_control]),
        ("held-out treated sites", scored[~is_control]),
    ):
        if len(rows):
            fields = (cache.read([row])[0] for row in rows)
            flagged[name] = Share.of(
                _is_flagged(embeddings[rows], fields, calibration, cache.stains, downsample=1)
            )
    tried = np.sort(rng.permutation(scored[is_control])[:_NUM_CONTROLS])
    graph = Graph.load(model_onnx, device="cpu")
    stacks = [cache.read_raw(int(row)) for row in tried]
    for name, corrupt in CORRUPTIONS.items():
        spoilt = [corrupt(stack, rng) for stack in stacks]
        found = np.stack(
            [graph.run(stack[np.newaxis].astype(np.float32))["embedding"][0] for stack in spoilt]
        )
        flagged[name] = Share.of(
            _is_flagged(found, spoilt, calibration, cache.stains, downsample=cache.downsample)
        )
    return flagged


def reliability(probabilities: np.ndarray, targets: np.ndarray) -> tuple[ReliabilityBin, ...]:
    """Groups sites by their largest probability into ten equal bins (Guo et al. 2017, section 2), empty ones left out.

    A bin holds its upper end and not its lower one, as those of the calibration error do.

    Args:
        probabilities: `(num_sites, num_classes)`.
        targets: True class, `(num_sites,)`.
    """
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    bins = pd.Series(np.clip(np.ceil(confidence * _NUM_BINS).astype(int) - 1, 0, _NUM_BINS - 1))
    return tuple(
        ReliabilityBin(float(confidence[rows].mean()), Share.of(is_right[rows]))
        for rows in bins.groupby(bins).indices.values()
    )


def _is_flagged(
    embeddings: np.ndarray,
    stacks: Iterable[np.ndarray],
    calibration: Calibration,
    stains: Sequence[str],
    *,
    downsample: int,
) -> np.ndarray:
    """Whether the service would call each stack `(channel, y, x)` out of distribution, `(num_stacks,)`."""
    distances = neighbour_distances(
        embeddings,
        mean=calibration.mean,
        whitening=calibration.whitening,
        reference=calibration.reference,
        num_neighbours=calibration.spec.out_of_distribution.num_neighbours,
    )
    flags: list[bool] = []
    for distance, stack in zip(distances, stacks, strict=True):
        is_usable = not any(notice.is_unusable for notice in find_notices(stack, stains))
        mismatch = calibration.mismatch(stack, downsample)
        flags.append(not calibration.in_distribution(distance, mismatch, is_usable=is_usable))
    return np.array(flags)
