import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from phenotrain.evaluate.ranking import same_plate_ranking
from phenotrain.matching import plate_matched_weights

LAW = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, *, is_coarse=False):
    """Three plates of twelve wells: two with treated wells and controls, the last with treated wells alone."""
    rng = np.random.default_rng(seed)
    plates = np.repeat([0, 1, 2], 12)
    is_treated = rng.random(36) < 0.4
    is_treated[[0, 12]] = True
    is_treated[[1, 13]] = False
    is_treated[24:] = True
    scores = rng.integers(0, 4, 36).astype(float) if is_coarse else rng.normal(size=36)
    return rng, scores, plates, is_treated


def ranked(scores, plates, treated, control):
    return same_plate_ranking(
        scores, plates, np.arange(len(scores)), np.atleast_2d(treated), np.atleast_2d(control)
    )


@LAW
@given(SEEDS, st.booleans())
def test_ranking_is_sklearns_plate_by_plate(seed, is_coarse):
    """AUROC and average precision are scikit-learn's on each plate, averaged with the treated units, ties and all."""
    _, scores, plates, is_treated = drawn(seed, is_coarse=is_coarse)
    auroc, precision = ranked(scores, plates, is_treated, ~is_treated)
    expected = []
    for plate in (0, 1):
        own = plates == plate
        sites = pd.DataFrame(
            {"experiment": "E", "plate": plate, "treatment": np.where(is_treated[own], "a", "EMPTY")}
        )
        weights = plate_matched_weights(sites, np.arange(12), ["a"], "EMPTY")[:, 0]
        expected.append(
            (
                is_treated[own].sum(),
                roc_auc_score(is_treated[own], scores[own]),
                average_precision_score(is_treated[own], scores[own], sample_weight=weights),
            )
        )
    sizes, of_plates, precisions = np.transpose(expected)
    assert auroc == pytest.approx(np.average(of_plates, weights=sizes))
    assert precision == pytest.approx(np.average(precisions, weights=sizes))


@LAW
@given(SEEDS)
def test_a_plate_effect_changes_nothing(seed):
    """Offsets shared by all wells of a plate leave AUROC and average precision where they were."""
    _, scores, plates, is_treated = drawn(seed)
    before = ranked(scores, plates, is_treated, ~is_treated)
    np.testing.assert_allclose(ranked(scores + 100.0 * plates, plates, is_treated, ~is_treated), before)


@LAW
@given(SEEDS)
def test_a_weight_is_a_number_of_copies(seed):
    """A well that counts n times ranks as n equal wells do."""
    rng, scores, plates, is_treated = drawn(seed, is_coarse=True)
    counts = rng.integers(0, 4, len(scores))
    counts[[0, 1, 12, 13]] = 1
    weighed = ranked(scores, plates, counts * is_treated, counts * ~is_treated)
    copies = np.repeat(np.arange(len(scores)), counts)
    copied = ranked(scores[copies], plates[copies], is_treated[copies], ~is_treated[copies])
    np.testing.assert_allclose(weighed, copied)


@LAW
@given(SEEDS)
def test_sites_follow_their_well(seed):
    """Ranking sites by their wells' weights is ranking sites that each carry the weight themselves."""
    rng, _, plates, is_treated = drawn(seed)
    well_of = np.repeat(np.arange(36), 2)
    scores = rng.normal(size=72)
    by_well = same_plate_ranking(
        scores, plates[well_of], well_of, is_treated[None].astype(float), (~is_treated)[None].astype(float)
    )
    by_site = ranked(scores, plates[well_of], is_treated[well_of], ~is_treated[well_of])
    np.testing.assert_allclose(by_well, by_site)


@LAW
@given(SEEDS)
def test_exchanged_labels_give_an_auroc_of_one_half(seed):
    """Over permutations within plates the AUROC averages to its closed form, 0.5."""
    rng, scores, plates, is_treated = drawn(seed)
    order = np.stack(
        [np.concatenate([rng.permutation(12) + 12 * plate for plate in range(3)]) for _ in range(500)]
    )
    auroc, _ = ranked(scores, plates, is_treated[order], ~is_treated[order])
    assert abs(auroc.mean() - 0.5) < 4.5 * auroc.std() / np.sqrt(500)


def test_no_control_on_the_plate_gives_no_number():
    """Treated units without a same-plate control are not compared with other plates."""
    is_treated = np.array([True, True, False, False])
    assert np.isnan(ranked(np.arange(4.0), np.array([0, 0, 1, 1]), is_treated, ~is_treated)).all()
