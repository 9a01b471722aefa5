import pytest

from phenotrain.datasets import load_description
from phenotrain.plates import decode_image, read_site, read_sites, site_files

pytestmark = pytest.mark.data


def test_rxrx2_table_has_the_published_classes_and_counts(data_root):
    """The real RxRx2 rows hold 7,579 EMPTY sites in 1,896 wells and 72 wells of each interferon."""
    sites = read_sites(load_description("rxrx2"), data_root / "rxrx2")
    counts = sites["treatment"].value_counts()
    wells = sites.groupby("treatment")["well_id"].nunique()
    assert len(sites) == 18_207
    assert len(counts) == 38
    assert (counts["EMPTY"], wells["EMPTY"]) == (7_579, 1_896)
    interferons = list(load_description("rxrx2").task.treatments)
    assert counts[interferons].tolist() == [288, 287, 287, 288]
    assert wells[interferons].tolist() == [72] * 4


def test_rxrx2_doses_lie_on_their_ladders(data_root):
    """The real doses fall on decades and their x2.5 and x5 steps; interferon doses are nested in plates."""
    sites = read_sites(load_description("rxrx2"), data_root / "rxrx2")
    expected = {float(f"{m}e{e}") for m in (1, 2.5, 5) for e in range(-6, 2)}
    assert set(sites["treatment_conc"].dropna()) <= expected
    interferon = sites[sites["treatment"] == "IFN-gamma"]
    plates = (
        interferon.groupby("treatment_conc")["plate"].unique().map(lambda values: sorted(map(int, values)))
    )
    assert plates.to_dict() == {10.0**-k: [2 * k - 1, 2 * k] for k in range(1, 7)}
    assert sites.loc[sites["treatment"] == "EMPTY", "treatment_conc"].isna().all()


def test_rxrx2_paths_follow_the_publisher(data_root):
    """A real row leads to the path that the publisher gives."""
    description = load_description("rxrx2")
    sites = read_sites(description, data_root / "rxrx2")
    files = dict(zip(sites["site_id"], site_files(description, sites), strict=True))
    assert files["HUVEC-1_11_K09_2"][2] == "images/HUVEC-1/Plate11/K09_s2_w3.png"
    assert len(files) * 6 == len({file for row in files.values() for file in row})


def test_bbbc013_is_96_sites_of_two_stains(data_root):
    """The real BBBC013 folder reads as 16 negative, 8 positive and 72 dose wells of (2, 640, 640) uint8."""
    description, root = load_description("bbbc013"), data_root / "bbbc013"
    sites = read_sites(description, root)
    assert sites["treatment"].value_counts().to_dict() == {"dose": 72, "negative": 16, "positive": 8}
    assert sites["site_id"].iloc[0] == "BBBC013_1_A01_1"
    doses = sites.groupby(["treatment", "series"])["treatment_conc"].agg(["count", "nunique", "max"])
    assert doses.loc["dose", "nunique"].tolist() == [9, 9]
    assert doses.loc["dose", "count"].tolist() == [36, 36]
    assert doses.loc[("positive", "Wortmannin"), "max"] == 150
    assert doses.loc["negative", "count"].tolist() == [0, 0]
    assert {"drug", "series", "dose"} <= set(sites.columns)
    files = site_files(description, sites)
    assert [list(row) for row in files] == sites[["gfp_file", "dna_file"]].to_numpy().tolist()
    stack = read_site(root, "first", files[0]).stack
    assert (stack.shape, stack.dtype.name) == ((2, 640, 640), "uint8")


def test_png_that_is_a_tiff_is_read_as_what_it_is(data_root):
    """The real RxRx2 image, a big-endian TIFF under the name .png, is read by its content."""
    pixels = decode_image((data_root / "rxrx2" / "HUVEC_Plate1_G02_s2_w1.png").read_bytes())
    assert (pixels.shape, pixels.dtype.name) == ((1024, 1024), "uint8")


def test_cell_painting_channels_are_sixteen_bit(data_root):
    """Six real LZW TIFFs of one Cell Painting site read as one (6, 1080, 1080) uint16 stack."""
    root = data_root / "cellpainting6"
    read = read_site(root, "r01c02f01", sorted(path.name for path in root.glob("*.tiff")))
    assert (read.stack.shape, read.stack.dtype.name) == ((6, 1080, 1080), "uint16")
