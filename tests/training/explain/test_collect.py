"""Choosing sites, stains against the truth, and all tests of an export in one call, on a small simulated screen."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

from phenotrain.cache import build_cache
from phenotrain.datasets import load_description
from phenotrain.explain.budget import curve_sites, stain_sites
from phenotrain.explain.collect import explain_findings
from phenotrain.explain.sites import ExplainedSite, choose_rows
from phenotrain.explain.stains import attribute_site, attribute_stains, same_plate_controls
from phenotrain.explain.truth import find_truth
from phenotrain.graph import ServedGraph
from phenotrain.heads import build_head
from phenotrain.labelled import Task
from phenotrain.onnx_export import to_onnx
from phenotrain.recipe import HeadsRecipe
from phenotrain.simulate import STAINS, ScreenSpec, simulate_screen
from phenotrain.simulate.layout import plan_screen
from phenotrain.simulate.render import render_site

pytestmark = pytest.mark.training

SPEC = ScreenSpec(
    seed=2,
    field_px=128,
    num_experiments=2,
    doses=(0.1,),
    wells_per_treatment=2,
    control_wells=3,
    sites_per_well=2,
)
TASK = Task("EMPTY", ("EMPTY", *SPEC.treatments))


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    simulate_screen(folder / "screen", SPEC, num_workers=1)
    return build_cache(
        load_description("rxrx2"), folder / "screen", folder / "cache", downsample=2, num_workers=1
    )


@pytest.fixture(scope="module")
def roles(screen):
    return np.where(screen.sites["experiment"] == "HUVEC-2", "test", "train")


@pytest.fixture(scope="module")
def graph():
    """A small network of stride 32, with heads that are never trained."""
    keras.utils.set_random_seed(1)
    fields = keras.Input((None, None, 6))
    hidden = keras.layers.Conv2D(8, 5, strides=8, padding="same", activation="relu", name="adapter")(fields)
    hidden = keras.layers.Conv2D(1024, 3, strides=4, padding="same", activation="relu", name="conv5_x")(
        hidden
    )
    embedding = keras.Input((1024,))
    projection = keras.Model(embedding, keras.layers.Dense(128)(embedding))
    heads = [
        build_head(num, HeadsRecipe(), name=name) for num, name in ((5, "logits"), (4, "versus_control"))
    ]
    return ServedGraph(keras.Model(fields, hidden), projection, *heads, downsample=2)


@pytest.fixture(scope="module")
def model_onnx(graph):
    return to_onnx(graph)


class BrightnessGraph:
    """Logits that are weighted means of the stains, with no interaction."""

    def __init__(self, weights):
        self.weights = weights

    def run(self, stacks):
        """Logits `(stack, treatment)`."""
        return {"logits": stacks.mean(axis=(2, 3), dtype=np.float64) @ self.weights}


def test_the_truth_is_what_the_simulation_says(screen):
    """The masks read back, stain by stain and in any order of stains, are those that were drawn."""
    truth = find_truth(screen.meta.data_root, STAINS)
    plans = {plan.metadata_row[0]: plan for plan in plan_screen(SPEC)}
    for row in range(0, len(screen), 7):
        site = screen.sites.iloc[row]
        mask = render_site(SPEC.seed, SPEC.field_px, plans[site["site_id"]]).mask
        expected = np.stack([mask & (1 << channel) for channel in range(6)]) > 0
        np.testing.assert_array_equal(truth.changed(site, STAINS), expected)
        np.testing.assert_array_equal(truth.changed(site, STAINS[::-1]), expected[::-1])


def test_there_is_no_truth_without_a_simulation(tmp_path, screen):
    """A folder without the statement, or a stain that the simulation does not know, has no truth."""
    (tmp_path / "truth").mkdir()
    assert find_truth(tmp_path, STAINS) is None
    assert find_truth(screen.meta.data_root, ("Hoechst", "GFP")) is None


def test_a_missing_mask_is_named(tmp_path, screen):
    """A simulated site without its mask is an error that names the file."""
    (tmp_path / "truth").mkdir()
    (tmp_path / "SIMULATED.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="no truth mask"):
        find_truth(tmp_path, STAINS).changed(screen.sites.iloc[0], STAINS)


def test_chosen_sites_are_held_out_and_spread_over_wells(screen, roles):
    """Explained sites are test sites of their treatment; a well gives a second one after all have given one."""
    chosen = choose_rows(screen.sites, roles, TASK.treated, "EMPTY", num_top_doses=3, num_sites=5, seed=0)
    assert tuple(chosen) == TASK.treated
    for treatment, rows in chosen.items():
        assert (roles[rows] == "test").all()
        assert (screen.sites["treatment"].iloc[rows] == treatment).all()
        assert len(set(rows.tolist())) == 5
        assert screen.sites["well_id"].iloc[rows].nunique() == 4


def test_sites_at_lower_doses_are_chosen_only_where_there_are_no_others(screen, roles):
    """With four doses, sites of the lowest are explained only when nothing else is held out."""
    sites = screen.sites.copy()
    treated = sites["treatment"] != "EMPTY"
    sites.loc[treated, "treatment_conc"] = np.resize([1.0, 0.1, 0.01, 0.001], treated.sum())
    chosen = np.concatenate(
        list(choose_rows(sites, roles, TASK.treated, "EMPTY", num_top_doses=3, num_sites=99, seed=0).values())
    )
    assert set(sites["treatment_conc"].iloc[chosen]) == {1.0, 0.1, 0.01}
    low = np.where(sites["treatment_conc"] == 0.001, "test", "train")
    chosen = np.concatenate(
        list(choose_rows(sites, low, TASK.treated, "EMPTY", num_top_doses=3, num_sites=99, seed=0).values())
    )
    assert set(sites["treatment_conc"].iloc[chosen]) == {0.001}


def test_stand_ins_are_test_controls_of_the_same_plate(screen, roles):
    """A removed stain comes from held-out controls of the site's own plate, or from none."""
    row = int(np.flatnonzero((roles == "test") & (screen.sites["treatment"] == "IFNB-1"))[0])
    drawn = same_plate_controls(screen.sites, roles, row, "EMPTY", 4, 0)
    assert len(set(drawn)) == 4
    for column in ("experiment", "plate"):
        assert set(screen.sites[column].iloc[drawn]) == {screen.sites[column].iloc[row]}
    assert set(screen.sites["treatment"].iloc[drawn]) == {"EMPTY"}
    assert (
        same_plate_controls(screen.sites, np.where(roles == "test", "train", roles), row, "EMPTY", 4, 0) == []
    )


def test_attributions_of_a_sum_of_stains_are_its_terms(screen):
    """Where the logit is a weighted sum of the stains' brightness, each stain's value is its own term's difference."""
    weights = np.random.default_rng(0).normal(size=(6, 5))
    values, error = attribute_site(BrightnessGraph(weights), screen, 0, [5, 9])
    brightness = [screen.read_raw(row).mean(axis=(1, 2)) for row in (0, 5, 9)]
    expected = weights * (brightness[0] - (brightness[1] + brightness[2]) / 2)[:, np.newaxis]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert error < 1e-6


SHARES = np.array(
    [[0, 0, 0, 0, 0.2, 0], [0, 0, 0, 0.4, 0, 0], [0.1, 0.4, 0, 0, 0, 0], [0, 0, 0.1, 0, 0, 0.4]]
)


class PlantedScreen:
    """Noisy stacks whose stains are brighter by the share that their treatment changes, with that truth.

    Row i is of treatment i // 12, or a control from row 48 on; every site is a well of its own.
    """

    stains = STAINS

    def __init__(self):
        names = np.array([*np.repeat(TASK.treated, 12), *["EMPTY"] * 96])
        self.sites = pd.DataFrame({"treatment": names, "experiment": "A", "plate": "1", "row": range(144)})
        rng = np.random.default_rng(5)
        self.stacks = 10 + rng.normal(0, 0.05, (144, 6, 1, 1)) + np.zeros((144, 6, 10, 10))
        self.stacks[:48] += SHARES.repeat(12, axis=0)[:, :, np.newaxis, np.newaxis]

    def read_raw(self, row):
        """Stack `(channel, y, x)`."""
        return self.stacks[row]

    def changed(self, site, stains):
        """Truth `(channel, y, x)`: the first rows of pixels, as many as changed."""
        share = SHARES[site["row"] // 12][:, np.newaxis, np.newaxis]
        return np.broadcast_to(np.arange(10)[:, np.newaxis] / 10 < share - 1e-9, (6, 10, 10))


def test_a_judge_of_what_changed_agrees_with_the_truth():
    """A model that adds up what the treatments changed: the tied rho is near 1, the raw one below its ceiling."""
    planted = PlantedScreen()
    sites = [ExplainedSite(row, f"well {row}", 1 + row // 12, True, np.zeros((2, 2))) for row in range(48)]
    found = attribute_stains(
        BrightnessGraph(np.ones((6, 5))),
        planted,
        np.full(144, "test"),
        sites,
        TASK.treatments,
        "EMPTY",
        planted,
        num_replacements=2,
        seed=0,
    )
    np.testing.assert_allclose([effect.truth for effect in found.effects], SHARES.ravel())
    assert [effect.treatment for effect in found.effects[::6]] == list(TASK.treated)
    assert all(effect.is_significant for effect in found.effects if effect.truth > 0)
    assert (found.num_without_control, found.agreement.num_changed) == (0, 6)
    assert found.agreement.tied > 0.9
    assert found.agreement.raw <= found.agreement.ceiling + 1e-9 < found.agreement.tied


def test_stains_that_are_not_used_are_not_significant():
    """Rounding is no finding: a stain of weight 0 is not significant, however narrow its interval."""
    planted = PlantedScreen()
    sites = [ExplainedSite(row, f"well {row}", 1, True, np.zeros((2, 2))) for row in range(12)]
    weights = np.ones((6, 5)) * np.array([0, 0, 0, 0, 1, 0])[:, np.newaxis]
    found = attribute_stains(
        BrightnessGraph(weights),
        planted,
        np.full(144, "train"),
        sites,
        TASK.treatments,
        "EMPTY",
        None,
        num_replacements=1,
        seed=0,
    )
    assert [effect.is_significant for effect in found.effects] == [stain == "MitoTracker" for stain in STAINS]
    assert found.num_without_control == 12
    assert found.agreement is None


def test_a_model_that_contradicts_itself_is_refused(screen, roles):
    """Attributions that do not sum to the logit difference of a pass of its own are an error, not a result."""

    class Unsteady(BrightnessGraph):
        def run(self, stacks):
            logits = super().run(stacks)["logits"]
            return {"logits": logits + (len(stacks) == 1)}

    site = ExplainedSite(0, "w", 1, True, np.zeros((2, 2)))
    with pytest.raises(RuntimeError, match="miss the logit difference"):
        attribute_stains(
            Unsteady(np.ones((6, 5))),
            screen,
            roles,
            [site],
            TASK.treatments,
            "EMPTY",
            None,
            num_replacements=1,
            seed=0,
        )


@pytest.fixture(scope="module")
def found(screen, roles, graph, model_onnx):
    probabilities = np.full((len(screen), 5), 0.1)
    is_first = screen.sites["site"].to_numpy() == 1
    columns = [TASK.treatments.index(name) for name in screen.sites["treatment"]]
    probabilities[np.arange(len(screen)), columns] = np.where(is_first, 0.6, 0.05)
    return explain_findings(
        graph, model_onnx, screen, roles, TASK, probabilities, num_top_doses=3, seed=1, num_sites=6
    )


def test_one_call_answers_everything(found):
    """All tests are made on the held-out sites, and everything found is plain JSON without NaN."""
    assert found.treatments == TASK.treated
    assert (found.num_sites, found.cell_px, found.simulated) == (24, 64, True)
    assert found.num_right == found.truth_right.pointing.hits.num_sites
    assert 0 < found.num_right < found.truth.pointing.hits.num_sites == 24
    assert len(found.stains.effects) == 24
    assert len(found.perturbation.fraction) == 5
    assert [stage.name for stage in found.randomisation.stages] == ["classifier head", "last block", "stem"]
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert values["randomisation"]["passes"] == found.randomisation.passes
    assert values["perturbation"]["deletion"]["passes"] == found.perturbation.deletion.passes
    assert values["stains"]["agreement"]["ceiling"] == pytest.approx(0.7607, abs=1e-4)


def test_without_keras_networks_the_rest_is_the_same(found, screen, roles, model_onnx):
    """The exported graph alone gives the same truth, foreground and stains."""
    alone = explain_findings(
        None,
        model_onnx,
        screen,
        roles,
        TASK,
        np.full((len(screen), 5), 0.2),
        num_top_doses=3,
        seed=1,
        num_sites=6,
    )
    assert alone.randomisation is None
    assert alone.perturbation is None
    assert (alone.truth, alone.foreground, alone.stains) == (found.truth, found.foreground, found.stains)


def test_no_test_site_of_any_treatment_is_refused(screen, model_onnx):
    """Without a held-out treated site there is nothing to explain, and the error says so."""
    with pytest.raises(ValueError, match="Expected test sites"):
        explain_findings(
            None,
            model_onnx,
            screen,
            np.full(len(screen), "train"),
            TASK,
            np.ones((len(screen), 5)),
            num_top_doses=3,
        )


def test_the_work_is_bounded():
    """Larger fields, more stains and more treatments are explained at fewer sites, never at more than asked for."""
    assert stain_sites(12, 4, 6, 96**2) == 8
    assert stain_sites(5, 4, 6, 64**2) == 5
    assert stain_sites(12, 4, 6, 512**2) == stain_sites(12, 12, 8, 128**2) == 4
    assert curve_sites(3, 4, 170, 64**2) == 3
    assert curve_sites(3, 4, 170, 128**2) == 1
    assert curve_sites(3, 4, 170, 512**2) == 1
