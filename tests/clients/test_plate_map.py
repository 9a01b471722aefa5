"""Tables of what was put into which well, beside the sites that have images."""

import json
from pathlib import Path

import pytest

from phenoclient import PlateError
from phenoclient.plate import Site, read_plate_map
from phenoclient.plate.columns import ROLE
from phenoclient.plate.reading.plate_map import columns_of

CASES = Path(__file__).parents[1] / "cases"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.csv"
    path.write_text(text)
    return path


def site(well: str, plate: str = "7", number: str = "1") -> Site:
    return Site(None, plate, well, number, {"": Path(f"{well}.tif")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("treatment\nx\n", "Expected `well`"),
        ("well,treatment\nA01,x\na1,y\n", "line 3: names well A01 again"),
        ("well,treatment\nA01,x\n01A,x\n", "line 3: names well A01 again"),
        ("well,dose\nA01,much\n", "line 2: dose is 'much'"),
        ("well,treatment,dose\nA01,x,1\nA02,DMSO,0\n", r"line 3: dose is '0'.*--control"),
        ("well,treatment,dose\nA01,x,1\nA02,x,-1\n", "line 3: dose is '-1'"),
        ("well,treatment,dose\nA01,x,1\nA02,x,inf\n", "line 3: dose is 'inf'"),
        ("well,compound,dose\nA01,x,0,5\n", "line 2: has 4 cells, and the header 3"),
        ("well\n7\n", "line 2: '7' is no well"),
        ("well\n", "no rows"),
        ("well,dose,concentration\nA01,1,2\n", "both tell the treatment_conc"),
        ("well,compound,treatment\nA01,x,y\n", "both tell the treatment"),
        ("well,Metadata_Plate,plate\nA01,1,2\n", "both tell the plate"),
        ("well,Metadata_batch,batch\nA01,1,2\n", "its column batch is one as Metadata_batch is"),
        ("well,row,col\nA01,A,2\n", "line 2: names well A01, but row and column of A02"),
        ("well,treatment\nA01,Drug A\nA02,drug a\n", "line 3: treatment is 'drug a', and 'Drug A' in line 2"),
        (
            "well,site,treatment\nA01,1,x\nA01,2,y\n",
            r"line 3: tells another treatment of well A01 than line 2 \(y and x\)",
        ),
        (
            "well,site,treatment,dose\nA01,1,x,1\nA01,2,x,2\n",
            r"line 3: tells another treatment_conc of well A01 than line 2 \(2.0 and 1.0\)",
        ),
    ],
)
def test_a_plate_map_that_cannot_be_meant_is_refused(tmp_path, text, message):
    """A map is refused by its line or its columns where it could be read in two ways, or in none."""
    with pytest.raises(PlateError, match=message):
        read_plate_map(write(tmp_path, text), "EMPTY")


@pytest.mark.parametrize(("written", "well"), json.loads((CASES / "wells.json").read_text())["cases"])
def test_wells_of_a_map_are_read_as_the_table_of_cases_has_it(tmp_path, written, well):
    """Every way to write a well gives the one name, or is refused."""
    path = write(tmp_path, f'well,treatment\n"{written}",x\n')
    if well is None:
        with pytest.raises(PlateError, match=r"line 2: .* is no well"):
            read_plate_map(path, "EMPTY")
    else:
        assert list(read_plate_map(path, "EMPTY").wells) == [(None, None, well)]


def test_a_european_spreadsheet_is_read(tmp_path):
    """Semicolons with decimal commas are read as such, and doses of one value are one."""
    path = write(tmp_path, "Well;compound;dose\nB02;x;0,5\nB03;x;0,000999999999\nB04;EMPTY;0\n")
    plate_map = read_plate_map(path, "EMPTY")
    assert [plate_map.row(site(well)) for well in ("B02", "B03", "B04")] == [
        {"Metadata_treatment": "x", "Metadata_treatment_conc": 0.5, ROLE: "treated"},
        {"Metadata_treatment": "x", "Metadata_treatment_conc": 0.001, ROLE: "treated"},
        {"Metadata_treatment": "EMPTY", "Metadata_treatment_conc": None, ROLE: "control"},
    ]


def test_the_control_is_the_bundles_or_the_one_that_is_named(tmp_path):
    """A control has no dose whatever its cell holds; no word but its name makes a well one."""
    path = write(tmp_path, "well,treatment,dose\nB02,x,1\nB03,dmso,0\nB04,,\nB05,none,\n")
    plate_map = read_plate_map(path, "EMPTY", "DMSO")
    roles = {well: plate_map.row(site(well))[ROLE] for well in ("B02", "B03", "B04", "B05")}
    assert roles == {"B02": "treated", "B03": "control", "B04": None, "B05": "treated"}
    assert plate_map.row(site("B03"))["Metadata_treatment_conc"] is None
    with pytest.raises(PlateError, match="no well holds the control 'water'"):
        read_plate_map(write(tmp_path, "well,treatment\nB02,x\n"), "EMPTY", "water")


def test_a_training_table_is_a_map_where_sites_of_a_well_agree(tmp_path):
    """A row a site is no repetition; its columns of sites are not joined and cannot overwrite the results'."""
    text = "site_id,well_id,cell_type,experiment,plate,well,site,treatment,treatment_conc\n"
    text += "H_1_D37_1,H_1_D37,HUVEC,H,1,D37,1,IFN,0.1\nH_1_D37_2,H_1_D37,HUVEC,H,1,D37,2,IFN,0.1\n"
    plate_map = read_plate_map(write(tmp_path, text), "EMPTY")
    assert plate_map.row(Site("H", "1", "D37", "9", {})) == {
        "Metadata_well_id": "H_1_D37",
        "Metadata_cell_type": "HUVEC",
        "Metadata_treatment": "IFN",
        "Metadata_treatment_conc": 0.1,
        ROLE: "treated",
    }
    assert "not joined, as they are of sites and not of wells: site, site_id" in plate_map.remarks([])


def test_wells_that_the_map_lacks_and_wells_without_images_are_told(tmp_path):
    """What a map lacks is unknown and said; what it has beyond the images is said; a map of none of them is refused."""
    plate_map = read_plate_map(write(tmp_path, "well,treatment\nA01,EMPTY\nA02,x\n"), "EMPTY")
    sites = [site("A02"), site("A10"), site("A03")]
    assert plate_map.row(site("A03")) == {"Metadata_treatment": None, ROLE: None}
    assert plate_map.remarks(sites) == [
        "the plate map does not hold 2 wells with images: A03, A10; what they hold is unknown",
        "there are no images of 1 well of the plate map: A01",
    ]
    assert plate_map.fitted(sites).wells == plate_map.wells
    with pytest.raises(
        PlateError, match=r"holds none of the wells with images; it holds A01, A02, and .* B01"
    ):
        plate_map.fitted([site("B01")])


def test_a_map_without_its_control_says_so(tmp_path):
    """A map that calls the control something else is told how to say what."""
    plate_map = read_plate_map(write(tmp_path, "well,treatment\nA02,DMSO\n"), "EMPTY")
    assert plate_map.remarks([site("A02")]) == [
        "no well of the plate map holds the control 'EMPTY'; --control says what the map calls it"
    ]


SITES_TABLE = "experiment,plate,well,site,file,cell_type,dose,dose_unit\n"
SITES_TABLE += "H,1,01B,1,a.png,HUVEC,,\nH,1,B1,2,b.png,HUVEC,,\nH,1,B02,1,c.png,RPE,5,uM\n"


def test_a_training_table_whose_columns_have_other_names_is_a_map(tmp_path):
    """Named columns are read as training's `[table] columns` has them; what differs between sites is not joined."""
    columns = columns_of("treatment=cell_type")
    plate_map = read_plate_map(write(tmp_path, SITES_TABLE), "HUVEC", columns=columns)
    assert [plate_map.row(Site("H", "1", well, "1", {})) for well in ("B01", "B02")] == [
        {
            "Metadata_treatment": "HUVEC",
            "Metadata_treatment_conc": None,
            "Metadata_treatment_conc_unit": None,
            ROLE: "control",
        },
        {
            "Metadata_treatment": "RPE",
            "Metadata_treatment_conc": 5.0,
            "Metadata_treatment_conc_unit": "uM",
            ROLE: "treated",
        },
    ]
    assert plate_map.left_out == ("file", "site")
    (told,) = [said for said in read_plate_map(plate_map.path, "HUVEC").remarks([]) if "treatment" in said]
    assert "--map-columns treatment=NAME says which does" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell_type", "'cell_type' cannot be read. Expected WORD=COLUMN"),
        ("drugs=cell_type", "the words are experiment, plate"),
        ("treatment=a,treatment=b", "'treatment=b' cannot be read"),
        ("treatment=cells", "cells is none of the columns experiment, plate"),
        ("treatment=cell_type,well=cell_type", "cell_type is given for two words"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(tmp_path, text, message):
    """A word that is none, and a column that is not there or given twice, is refused with those there are."""
    with pytest.raises(PlateError, match=message):
        read_plate_map(write(tmp_path, SITES_TABLE), "HUVEC", columns=columns_of(text))


def test_a_map_with_experiments_fits_images_that_tell_none(tmp_path):
    """Experiments of a map are left away where images tell none, and only while no well could be of two."""
    text = "experiment,plate,well,treatment\nH,1,B01,x\nG,2,B01,y\nG,1,C01,z\n"
    plate_map = read_plate_map(write(tmp_path, text), "EMPTY")
    fitted = plate_map.fitted([site("B01", "1"), site("B01", "2")])
    assert [fitted.row(site("B01", plate))["Metadata_treatment"] for plate in "12"] == ["x", "y"]
    for again in (fitted, fitted.fitted([site("B01", "1")])):
        assert [again.named(site("B01", plate)).experiment for plate in "123"] == ["H", "G", None]
    two = read_plate_map(write(tmp_path, f"{text}G,1,B01,y\n"), "EMPTY")
    with pytest.raises(PlateError, match=r"of the experiments G, H.*\{experiment\}"):
        two.fitted([site("B01", "1")])
    with pytest.raises(
        PlateError, match="Expected plates and experiments of one name: rename them in the map"
    ):
        plate_map.fitted([site("B01", "Plate1")])


@pytest.mark.parametrize(
    "name", ["folder", "Metadata_bundle", "bundle_digest", "FileName_DNA", "role", "learned_from"]
)
def test_a_column_that_the_results_have_keeps_its_values_under_another_name(tmp_path, name):
    """What a map calls as the results call something else is joined as recorded, and that is said."""
    plate_map = read_plate_map(write(tmp_path, f"well,{name}\nA01,1\n"), "EMPTY")
    column = f"recorded_{name.removeprefix('Metadata_')}"
    assert plate_map.row(site("A01")) == {f"Metadata_{column}": "1", ROLE: None}
    assert (
        f"joined under another name, as the results have a column of theirs: {column}"
        in plate_map.remarks([])
    )


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("dose_uM", "uM"),
        ("Concentration (µM)", "µM"),
        ("dose [ng/mL]", "ng/mL"),
        ("treatment_conc_nm", "nm"),
        ("dose %", "%"),
        ("dose", None),
    ],
)
def test_a_unit_in_the_name_of_doses_is_their_unit(tmp_path, header, unit):
    """A column of doses with a unit in its name tells both; a column of units goes before it."""
    row = read_plate_map(write(tmp_path, f"well,treatment,{header}\nA01,x,0.5\n"), "EMPTY").row(site("A01"))
    assert (row["Metadata_treatment_conc"], row.get("Metadata_treatment_conc_unit")) == (0.5, unit)
    row = read_plate_map(write(tmp_path, f"well,treatment,{header},unit\nA01,x,1,M\n"), "EMPTY").row(
        site("A01")
    )
    assert row["Metadata_treatment_conc_unit"] == "M"
