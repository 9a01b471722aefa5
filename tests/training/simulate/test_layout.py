import csv
import re
from collections import Counter, defaultdict

import pytest
from pydantic import ValidationError

from phenotrain.simulate import CONTROL, DOSE_LADDER, ScreenSpec
from phenotrain.simulate.layout import METADATA_COLUMNS, plan_screen, write_metadata
from phenotrain.simulate.spec import PLATE_COLUMNS, PLATE_ROWS


@pytest.fixture(scope="module")
def plans():
    return plan_screen(ScreenSpec(seed=5))


def wells_of(plans):
    return {plan.well_id: plan for plan in plans}.values()


def test_default_screen_has_the_size_it_announces(plans):
    """The plan has as many sites as the specification counts."""
    spec = ScreenSpec(seed=5)
    assert len(plans) == spec.num_sites == 2 * 12 * (80 + 4 * 3) * 4


def test_dose_is_nested_in_plate(plans):
    """Dose level k of every treatment lies on plates 2k-1 and 2k of every experiment and nowhere else."""
    plates = defaultdict(set)
    for plan in plans:
        if plan.dose is not None:
            plates[plan.treatment, plan.dose, plan.experiment].add(plan.plate)
    assert len(plates) == 4 * 6 * 2
    for (_, dose, _), found in plates.items():
        level = DOSE_LADDER.index(dose) + 1
        assert found == {2 * level - 1, 2 * level}


def test_every_plate_holds_three_wells_a_treatment_and_its_controls(plans):
    """Every plate of every experiment holds three wells of every treatment and eighty controls."""
    counts = Counter((plan.experiment, plan.plate, plan.treatment) for plan in wells_of(plans))
    assert {count for (*_, name), count in counts.items() if name == CONTROL} == {80}
    assert {count for (*_, name), count in counts.items() if name != CONTROL} == {3}
    assert len(counts) == 2 * 12 * 5


def test_addresses_are_unique_and_inside_the_outer_ring(plans):
    """Every site has a place of its own, in rows B to AE and columns 2 to 47."""
    assert len({plan.address for plan in plans}) == len(plans)
    for plan in plans:
        row, column = re.fullmatch(r"([A-Z]{1,2})(\d{2})", plan.well).groups()
        assert row in PLATE_ROWS
        assert int(column) in PLATE_COLUMNS
    assert (PLATE_ROWS[0], PLATE_ROWS[-1], len(PLATE_ROWS)) == ("B", "AE", 30)


def test_positions_are_drawn_anew_for_every_plate(plans):
    """Two plates share no more control positions than chance makes them share."""
    controls = defaultdict(set)
    for plan in wells_of(plans):
        if plan.treatment == CONTROL:
            controls[plan.experiment, plan.plate].add(plan.well)
    first, *others = controls.values()
    # 80 of 1380 drawn twice overlap in 4.6 on average with a standard deviation of 2.
    assert all(len(first & other) < 16 for other in others)


def test_metadata_is_rxrx2s_table(tmp_path, plans):
    """metadata.csv has RxRx2's nine columns, identifiers, empty control doses and rounding errors."""
    write_metadata(tmp_path / "metadata.csv", plans)
    with (tmp_path / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == METADATA_COLUMNS
    assert len(rows) == len(plans)
    for row in rows:
        assert row["well_id"] == f"{row['experiment']}_{row['plate']}_{row['well']}"
        assert row["site_id"] == f"{row['well_id']}_{row['site']}"
        assert (row["treatment"] == CONTROL) == (row["treatment_conc"] == "")
    assert {row["treatment_conc"] for row in rows} == {
        "",
        "0.1",
        "0.01",
        "0.0009999999999999",
        "9.999999999999998e-05",
        "1e-05",
        "1e-06",
    }


def test_image_paths_are_rxrx2s(plans):
    """Images lie at images/{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png."""
    pattern = r"images/HUVEC-[12]/Plate([1-9]|1[0-2])/[A-Z]{1,2}\d{2}_s[1-4]_w[1-6]\.png"
    assert all(re.fullmatch(pattern, str(plan.image_path(channel))) for plan in plans for channel in (1, 6))


def test_a_dose_keeps_its_plates_when_others_are_left_out():
    """A screen of some doses has exactly the plates that RxRx2 gives those doses."""
    assert ScreenSpec(doses=(1e-6, 0.1)).plates == ((1, 0.1), (2, 0.1), (11, 1e-6), (12, 1e-6))


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"doses": (0.5,)}, "0.5"),
        ({"doses": ()}, "at least one"),
        ({"doses": (0.1, 0.1)}, "once each"),
        ({"treatments": ("aspirin",)}, "aspirin"),
        ({"treatments": ()}, "at least one"),
        ({"control_wells": 1369}, "1381 wells"),
        ({"field_px": 8}, "field_px"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_specification_is_refused_by_name(wrong, names):
    """A specification that cannot be simulated is refused with what was wrong in it."""
    with pytest.raises(ValidationError, match=names):
        ScreenSpec(**wrong)
