import gzip

import numpy as np
import pandas as pd
import pytest

from phenotrain.datasets import COLUMNS, load_description, parse_description
from phenotrain.plates import TableError, read_sites, site_files

HEADER = "site_id,well_id,cell_type,experiment,plate,well,site,treatment,treatment_conc\n"
ROWS = (
    "HUVEC-1_1_K35_2,HUVEC-1_1_K35,HUVEC,HUVEC-1,1,K35,2,IFN-alpha-A,0.1\n"
    "HUVEC-1_1_AA35_1,HUVEC-1_1_AA35,HUVEC,HUVEC-1,1,AA35,1,EMPTY,\n"
    "HUVEC-1_5_B24_1,HUVEC-1_5_B24,HUVEC,HUVEC-1,5,B24,1,Activin-A,0.0009999999999999\n"
)


@pytest.fixture
def read(tmp_path):
    """Read a table given as text."""

    def read_text(text, dataset="rxrx2", name="metadata.csv"):
        (tmp_path / name).write_text(text, "utf-8")
        description = load_description(dataset) if isinstance(dataset, str) else dataset
        return read_sites(description, tmp_path)

    return read_text


DESCRIPTION_TEXT = """
name = "mine"
licence = "CC0"
[table]
path = ["metadata.csv", "other.csv"]
TABLE
[images]
IMAGES
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]
[task]
control = "DMSO"
"""


def describe(table="", images="path = '{well}_s{site}_{channel}.png'"):
    return parse_description(DESCRIPTION_TEXT.replace("TABLE", table).replace("IMAGES", images), "mine.toml")


def test_form_of_the_sites_table(read):
    """The nine columns come first and typed, rows sorted by site_id under a RangeIndex."""
    sites = read(HEADER + ROWS)
    assert tuple(sites.columns) == COLUMNS
    assert sites["site_id"].tolist() == ["HUVEC-1_1_AA35_1", "HUVEC-1_1_K35_2", "HUVEC-1_5_B24_1"]
    assert isinstance(sites.index, pd.RangeIndex)
    assert sites["site"].dtype == np.int64
    assert sites["treatment_conc"].dtype == np.float64
    assert sites["plate"].tolist() == ["1", "1", "5"]
    np.testing.assert_array_equal(sites["treatment_conc"], [np.nan, 0.1, 1e-3])


def test_zero_padded_experiments_keep_their_zeros(read):
    """An experiment called HUVEC-01 stays HUVEC-01, and so does a plate called 01."""
    row = "HUVEC-01_01_B02_1,HUVEC-01_01_B02,HUVEC,HUVEC-01,01,B02,1,EMPTY,\n"
    sites = read(HEADER + row)
    assert sites.loc[0, ["experiment", "plate"]].tolist() == ["HUVEC-01", "01"]
    (files,) = site_files(load_description("rxrx2"), sites)
    assert files[0] == "images/HUVEC-01/Plate01/B02_s1_w1.png"


def test_labels_that_look_like_missing_values_stay_labels(read):
    """A treatment called NA or nan is a treatment."""
    text = HEADER + "a_1,a,X,E,1,A01,1,NA,1\nb_1,b,X,E,1,A02,1,nan,1\n"
    assert read(text)["treatment"].tolist() == ["NA", "nan"]


def test_outer_blanks_and_a_byte_order_mark_are_stripped(read):
    """Blanks around a cell and a byte order mark before the header make no other label."""
    sites = read("\ufeff" + HEADER + "a_1,a,X,E,1,A01, 1 , EMPTY ,\n")
    assert sites.loc[0, "treatment"] == "EMPTY"


def test_wells_may_lack_sites(read):
    """A well with one, two or three of its sites is read as it is."""
    rows = [
        f"E_1_A0{well}_{site},E_1_A0{well},X,E,1,A0{well},{site},EMPTY,"
        for well, site in ((1, 3), (2, 1), (2, 4))
    ]
    sites = read(HEADER + "\n".join(rows) + "\n")
    assert sites.groupby("well_id").size().tolist() == [1, 2]


def test_ids_are_derived_where_the_table_has_none(read):
    """Without id columns, well_id is experiment_plate_well and site_id adds the site."""
    sites = read("cell_type,experiment,plate,well,site,treatment\nU2OS,E,7,B03,2,EMPTY\n")
    assert sites.loc[0, ["site_id", "well_id"]].tolist() == ["E_7_B03_2", "E_7_B03"]
    assert np.isnan(sites.loc[0, "treatment_conc"])


def test_rxrx3_table_has_no_sites_and_other_names(read):
    """RxRx3's names are aliases: address is the well, concentration the dose, and every well has site 1."""
    text = (
        "well_id,experiment_name,plate,address,gene,treatment,SMILES,concentration,perturbation_type,cell_type\n"
        "gene-060_9_P28,gene-060,9,P28,EMPTY_control,EMPTY_control,,,CRISPR,HUVEC\n"
        'compound-001_19_D20,compound-001,19,D20,,Dequalinium,"CC1=[N+](C)C |c:1,t:16|",0.25,COMPOUND,HUVEC\n'
    )
    sites = read(text, "rxrx3", "metadata_rxrx3.csv")
    assert sites["site_id"].tolist() == ["compound-001_19_D20_1", "gene-060_9_P28_1"]
    np.testing.assert_array_equal(sites["treatment_conc"], [0.25, np.nan])
    assert sites.loc[0, "SMILES"] == "CC1=[N+](C)C |c:1,t:16|"
    files = site_files(load_description("rxrx3"), sites)
    assert files[1][5] == "images/gene-060/Plate9/P28_s1_w6.png"


def test_rxrx1_treatment_is_the_sirna(read):
    """RxRx1's siRNA is the treatment, and its other columns stay behind the nine."""
    text = (
        "site_id,well_id,cell_type,dataset,experiment,plate,well,site,well_type,sirna,sirna_id\n"
        "HUVEC-01_1_B02_1,HUVEC-01_1_B02,HUVEC,train,HUVEC-01,1,B02,1,negative_control,EMPTY,1138\n"
    )
    sites = read(text, "rxrx1")
    assert sites.loc[0, "treatment"] == "EMPTY"
    assert list(sites.columns[9:]) == ["dataset", "well_type", "sirna", "sirna_id"]


def test_rxrx19_wells_without_compound_take_their_condition(read):
    """In RxRx19 a blank treatment becomes the disease condition, and a blank condition besides, blank."""
    head = HEADER.replace("site,", "site,disease_condition,").replace("conc\n", "conc,SMILES\n")
    rows = (
        "E_1_A01_1,E_1_A01,X,E,1,A01,1,Mock,,,\n"
        "E_1_A02_1,E_1_A02,X,E,1,A02,1,Active SARS-CoV-2,Remdesivir,1.0,C\n"
        "E_1_A03_1,E_1_A03,X,E,1,A03,1,,,,\n"
    )
    assert read(head + rows, "rxrx19b")["treatment"].tolist() == ["Mock", "Remdesivir", "blank"]
    with pytest.raises(TableError, match=r"blank cell.*treatment.*line\(s\) 4"):
        read(head + rows, "rxrx19a")


def test_defaults_fill_missing_columns_and_blank_cells(read):
    """A default stands in for an absent column and for a blank cell, and only there."""
    description = describe(
        "[table.defaults]\ncell_type = 'U2OS'\nplate = 'P{batch:03d}'\nsite = '1'\nexperiment = 'E'"
    )
    sites = read("well,plate,batch,treatment\nA01,9,4,DMSO\nA02,,4,DMSO\n", description)
    assert sites["plate"].tolist() == ["9", "P004"]
    assert sites["cell_type"].tolist() == ["U2OS", "U2OS"]
    assert sites["batch"].tolist() == ["4", "4"]


def test_a_column_that_means_something_else_is_kept_under_another_name(read):
    """Nothing recorded is lost: a column whose name is taken stays as recorded_..., others as they are."""
    description = describe(
        "[table.columns]\ntreatment = 'compound'\n[table.defaults]\ncell_type = 'X'\nexperiment = 'E'"
    )
    sites = read("plate,well,site,treatment,compound\n1,A01,1,high,DMSO\n", description)
    assert list(sites.columns[9:]) == ["recorded_treatment", "compound"]
    assert sites.loc[0, "recorded_treatment"] == "high"


def test_first_table_that_exists_is_read(read):
    """Of several table paths the first that exists is read."""
    defaults = "[table.defaults]\ncell_type = 'X'\nexperiment = 'E'"
    text = "plate,well,site,treatment\n1,A01,1,DMSO\n"
    assert len(read(text, describe(defaults), "other.csv")) == 1


def test_tabs_and_compression_are_told_by_the_name(tmp_path):
    """A table called .tsv.gz is read through gzip and split at tabs; cut off, it is refused."""
    description = describe().model_copy(
        update={"table": describe().table.model_copy(update={"path": ("t.tsv.gz",)})}
    )
    content = gzip.compress((HEADER + ROWS).replace(",", "\t").encode())
    (tmp_path / "t.tsv.gz").write_bytes(content)
    assert len(read_sites(description, tmp_path)) == 3
    (tmp_path / "t.tsv.gz").write_bytes(content[:-20])
    with pytest.raises(TableError, match=r"t\.tsv\.gz cannot be read"):
        read_sites(description, tmp_path)


def test_a_table_of_one_cell_line_need_not_name_it(read):
    """Where the table has no column for the cell type, it is unknown."""
    columns = [line.split(",") for line in (HEADER + ROWS).splitlines()]
    assert set(read("\n".join(",".join(cells[:2] + cells[3:]) for cells in columns) + "\n")["cell_type"]) == {
        "unknown"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "no rows"),
        ("", "line 1: there is no header"),
        (HEADER + "a,b\n", "line 2: the row has 2 cells and the header 9"),
        (HEADER + ROWS.replace("\n", ",more\n"), "line 2: the row has 10 cells and the header 9"),
        (HEADER + ROWS.splitlines()[0] + "\n" + ROWS.splitlines()[1] + ",more\n", "line 3: the row has 10"),
        (HEADER + ROWS + ROWS.splitlines()[0] + "\n", "HUVEC-1_1_K35_2.*one row a site"),
        (HEADER + ROWS.replace("K35,2,", "K35,two,"), "site is 'two'"),
        (HEADER + ROWS.replace("IFN-alpha-A", " "), r"blank cell\(s\) for treatment, first in line\(s\) 2"),
        (HEADER.replace("plate", "barcode") + ROWS, r"no column for plate.*\[table.columns\]"),
    ],
)
def test_malformed_tables_are_refused_with_the_reason(read, text, message):
    """A table that cannot be understood is refused, and the message says what to change."""
    with pytest.raises(TableError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a_1,a,X,E,1,A01,1,drug,1\na_2,a,X,E,1,A01,2,EMPTY,\n", "differ in treatment"),
        ("a_1,a,X,E,1,A01,1,drug,1\na_2,a,X,E,1,A01,2,drug,10\n", "differ in treatment_conc"),
        ("a_1,a,X,E,1,A01,1,drug,1\na_2,a,X,E,2,A01,2,drug,1\n", "differ in plate"),
        ("a_1,a,X,E,1,A01,1,drug,1\nb_2,b,X,E,1,A01,2,drug,1\n", "more than one well_id"),
    ],
)
def test_wells_that_contradict_themselves_are_refused(read, rows, message):
    """Sites of one well agree in position, treatment and dose, and a position is one well."""
    with pytest.raises(TableError, match=message):
        read(HEADER + rows)


def test_missing_table_is_named(tmp_path):
    """A data root without the table is refused with the path that was looked for."""
    with pytest.raises(TableError, match=r"holds no metadata\.csv"):
        read_sites(load_description("rxrx2"), tmp_path)


def test_column_that_the_description_promises_must_exist(read):
    """A column named under [table.columns] but not in the table is refused with those that are."""
    with pytest.raises(TableError, match=r"no column 'compound'.*site_id, well_id"):
        read(HEADER + ROWS, describe("[table.columns]\ntreatment = 'compound'"))


@pytest.mark.parametrize(
    "well", ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "a/../../b", "C:\\x", "\\x"]
)
def test_labels_that_leave_the_data_root_are_refused(read, well):
    """A label that would lead a path out of the data root is refused by site and path."""
    sites = read(HEADER + f"a_1,a,X,E,1,{well},1,DMSO,\n", describe())
    with pytest.raises(TableError, match=r"a_1: the path .* leaves the data root"):
        site_files(describe(), sites)


def test_sites_that_would_share_a_file_are_refused(read):
    """A template without {plate} makes two plates share their files, and is refused."""
    rows = "a_1,a,X,E,1,A01,1,DMSO,\nb_1,b,X,E,2,A01,1,DMSO,\n"
    with pytest.raises(TableError, match=r"a_1 and b_1 share the file 'A01_s1_1.png'.*\{plate\}"):
        site_files(describe(), read(HEADER + rows, describe()))


def test_gap_without_a_column_is_refused(read):
    """A gap of the path template that no column fills is refused with the columns there are."""
    description = describe(images="path = '{row}_{channel}.png'")
    with pytest.raises(TableError, match=r"needs the column 'row'.*well"):
        site_files(description, read(HEADER + ROWS, description))


def test_wells_of_one_look_are_one_well(read):
    """`A1` (site 1) and `A01` (site 2) are one well, and each site's file is found as the table writes it."""
    text = "cell_type,experiment,plate,well,site,treatment\nX,E,1,A1,1,DMSO\nX,E,1,A01,2,DMSO\n"
    sites = read(text, describe())
    assert sites["site_id"].tolist() == ["E_1_A01_1", "E_1_A01_2"]
    assert sites["well_id"].unique().tolist() == ["E_1_A01"]
    assert sites["recorded_well"].tolist() == ["A1", "A01"]
    assert [files[0] for files in site_files(describe(), sites)] == ["A1_s1_1.png", "A01_s2_1.png"]


def test_one_site_under_two_spellings_is_refused(read):
    """The same site of `A1` and `a01` is one site twice, and so is site `1` beside `01`."""
    head = "cell_type,experiment,plate,well,site,treatment\n"
    for second in ("X,E,1,a01,1,DMSO", "X,E,1,A1,01,DMSO"):
        with pytest.raises(TableError, match=r"E_1_A01_1.*one row a site"):
            read(f"{head}X,E,1,A1,1,DMSO\n{second}\n", describe())


def test_ids_of_the_table_do_not_split_a_well(read):
    """Two well_ids for `A1` and `A01` of one plate are refused, and two site_ids for one site of a well."""
    with pytest.raises(TableError, match="more than one well_id"):
        read(HEADER + "a_1,a,X,E,1,A1,1,DMSO,\nb_2,b,X,E,1,A01,2,DMSO,\n", describe())
    with pytest.raises(TableError, match=r"repeat the site of a well.*'b_1'"):
        read(HEADER + "a_1,a,X,E,1,A1,1,DMSO,\nb_1,a,X,E,1,A01,01,DMSO,\n", describe())


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("X,E,1,A01,1,DMSO", "X,E,1,A02,1,dmso", "treatments 'DMSO' and 'dmso'"),
        (
            "X,E,1,A01,1,IFN-\u03b3",
            "X,E,1,A02,1,IFN\u2011\u03b3",
            r"treatments 'IFN-\\u03b3' and 'IFN\\u2011",
        ),
        ("X,E,1,A01,1,plat\u00e9", "X,E,1,A02,1,plate\u0301", r"plat\\xe9' and 'plate\\u0301'"),
        ("X,E,1,A01,1,a b", "X,E,1,A02,1,ab", "'a b' and 'ab'"),
        ("X,E,1,A01,1,DMSO", "x,E,1,A02,1,DMSO", "cell_type 'X' and 'x'"),
        ("X,E 1,1,A01,1,DMSO", "X,E  1,1,A02,1,DMSO", "experiments 'E  1' and 'E 1'"),
        ("X,E-1,1,A01,1,DMSO", "X,E-01,1,A02,1,DMSO", "experiments 'E-01' and 'E-1'"),
        ("X,E,1,A01,1,DMSO", "X,E,01,A02,1,DMSO", "plates of E '01' and '1'.*leading zeros"),
        ("X,E,1,A01,1,DMSO", "X,E,1.0,A02,1,DMSO", "plates of E '1.0' and '1'"),
        ("X,E,P1,A01,1,DMSO", "X,E,p01,A02,1,DMSO", "plates of E 'P1' and 'p01'"),
        ("X,E,1,pos 7,1,DMSO", "X,E,1,Pos 7,2,DMSO", "wells of E, plate 1, 'Pos 7' and 'pos 7'"),
        ("X,E,1,A01,1,DMSO", "X,E,1,A\u20131,2,DMSO", r"'A01' and 'A\\u20131'"),
    ],
)
def test_labels_that_differ_only_to_a_machine_are_refused(read, first, second, message):
    """Two labels that differ only in case, blanks, zeros or Unicode form are refused, told apart by escapes."""
    with pytest.raises(TableError, match=f"{message}.*one spelling"):
        read(f"cell_type,experiment,plate,well,site,treatment\n{first}\n{second}\n", describe())


def test_labels_of_the_description_are_those_of_the_table(read):
    """A control that the table spells otherwise is refused: every control would be learned as treated."""
    with pytest.raises(TableError, match=r"'DMSO' and 'Dmso'.*one spelling"):
        read(HEADER + "a_1,a,X,E,1,A01,1,Dmso,\n", describe())


def test_plates_and_doses_that_do_differ_are_kept(read):
    """Plates 1, 10 and 100, treatments a1 and a01, and plate 1 beside 01 of another experiment are several."""
    rows = ["E,1,a1", "E,10,a01", "E,100,a+1", "F,01,a-1"]
    text = "cell_type,well,site,experiment,plate,treatment\n" + "".join(f"X,A01,1,{row}\n" for row in rows)
    assert read(text, describe()).groupby(["experiment", "plate"]).ngroups == 4


def test_ids_are_injective(read):
    """Plate 2 of HUVEC_1 and plate 1_2 of HUVEC have ids of their own; a plain table keeps its plain ids."""
    head = "cell_type,experiment,plate,well,site,treatment\n"
    sites = read(head + "X,HUVEC_1,2,A01,1,DMSO\nX,HUVEC,1_2,A01,1,DMSO\n", describe())
    assert sites["well_id"].tolist() == ["HUVEC%5F1_2_A01", "HUVEC_1%5F2_A01"]
    sites = read(head + "X,HUVEC_1,2,A01,1,DMSO\nX,HUVEC,1,A01,1,DMSO\n", describe())
    assert sites["well_id"].tolist() == ["HUVEC_1_2_A01", "HUVEC_1_A01"]


def test_plates_that_would_share_a_name_are_refused(read):
    """Two plates whose names in reports and folds would be one are refused."""
    text = (
        "cell_type,experiment,plate,well,site,treatment\nX,A plate 1,2,A01,1,DMSO\nX,A,1 plate 2,A02,1,DMSO\n"
    )
    with pytest.raises(TableError, match="'A plate 1 plate 2'"):
        read(text, describe())


def test_columns_that_may_both_be_the_dose_are_refused(read):
    """Of two columns that may be the dose, differing ones are refused and equal ones read."""
    head = "cell_type,experiment,plate,well,site,treatment,treatment_conc,concentration\n"
    with pytest.raises(TableError, match="'treatment_conc' and 'concentration', which differ"):
        read(head + "X,E,1,A01,1,drug,1,10\n", describe())
    assert read(head + "X,E,1,A01,1,drug,1,1\n", describe())["treatment_conc"].tolist() == [1.0]


def test_a_column_never_takes_the_place_of_another(read):
    """A column named as one that is kept for another's sake is refused."""
    description = describe(
        "[table.columns]\ntreatment = 'compound'\n[table.defaults]\ncell_type = 'X'\nexperiment = 'E'"
    )
    with pytest.raises(TableError, match="a column 'recorded_treatment'"):
        read("plate,well,site,treatment,recorded_treatment,compound\n1,A01,1,a,b,DMSO\n", description)


def test_european_spreadsheets_are_read(read):
    """Semicolons with decimal commas give the doses that are meant, in the measurement too."""
    description = parse_description(
        DESCRIPTION_TEXT.replace("TABLE", "")
        .replace("IMAGES", "path = '{well}_{channel}.png'")
        .replace('control = "DMSO"', 'control = "DMSO"\nmeasurement = "ratio"'),
        "mine.toml",
    )
    head = "cell_type;experiment;plate;well;site;treatment;concentration;ratio\n"
    sites = read(head + "X;E;1;A01;1;drug;0,5;-1,25\nX;E;1;A02;1;DMSO;0;NA\n", description)
    np.testing.assert_array_equal(sites["treatment_conc"], [0.5, np.nan])
    assert sites["ratio"].tolist() == ["-1.25", ""]
    with pytest.raises(TableError, match="E_1_A01_1: the measurement 'ratio' is 'high'"):
        read(head + "X;E;1;A01;1;drug;0,5;high\n", description)
    with pytest.raises(TableError, match=r"no column 'ratio', which \[task\] measurement"):
        read(head.replace("ratio", "other") + "X;E;1;A01;1;drug;0,5;1\n", description)
