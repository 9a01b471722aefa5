"""The calibration: plain arrays that fit their manifest, and answers that equal their definitions."""

import dataclasses
import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.bundle import (
    BundleError,
    CalibrationError,
    Mismatch,
    PredictionSets,
    least_number,
    neighbour_distances,
    read_bundle,
    write_bundle,
)
from phenoserve.bundle.calibration import read_calibration

FORMAT_2 = Path(__file__).parents[2] / "golden" / "format-2"
ARRAYS = ("mean", "whitening", "reference", "control_distances")
STAIN_ARRAYS = {"stain_mean": "mean", "stain_whitening": "whitening"}
NUM_CHANNELS = 6


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    """The tiny bundle, read."""
    return read_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def calibration(bundle):
    """Its calibration."""
    return bundle.calibration


def arrays_of(calibration) -> dict[str, np.ndarray]:
    arrays = {name: getattr(calibration, name) for name in ARRAYS}
    stains = calibration.stain_order
    return arrays | (
        {} if stains is None else {name: getattr(stains, field) for name, field in STAIN_ARRAYS.items()}
    )


def packed(arrays, **options) -> bytes:
    """Return an archive of the arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **options, **arrays)
    return file.getvalue()


def slow_distance(embedding, calibration) -> float:
    """The distance, number by number, as the format defines it."""
    left = [float(x) - float(m) for x, m in zip(embedding, calibration.mean, strict=True)]
    z = [
        math.fsum(number * float(weight) for number, weight in zip(left, column, strict=True))
        for column in calibration.whitening.T
    ]
    distances = [math.dist(z, [float(number) for number in row]) for row in calibration.reference]
    nearest = sorted(distances)[: calibration.spec.out_of_distribution.num_neighbours]
    return math.fsum(nearest) / len(nearest)


def test_a_calibration_survives_its_file(calibration):
    """The arrays are read bit for bit as they were written."""
    again = read_calibration(calibration.to_npz(), calibration.spec, num_channels=NUM_CHANNELS)
    for name, array in arrays_of(calibration).items():
        np.testing.assert_array_equal(array, arrays_of(again)[name])


def test_the_distance_is_the_one_of_the_format(calibration):
    """The distance is the mean over the nearest references, as a slow transcription of the format has it."""
    generator = np.random.default_rng(3)
    for spread in (0.0, 0.1, 1.0, 100.0):
        numbers = calibration.mean + spread * generator.normal(size=1024)
        embedding = numbers.astype(np.float32)
        assert calibration.distance(embedding) == pytest.approx(
            slow_distance(embedding, calibration), rel=1e-12
        )


def test_a_reference_lies_at_no_distance_from_itself():
    """With one neighbour, a reference has the distance 0 and a point d away from the nearest one has d."""
    generator = np.random.default_rng(4)
    reference = generator.normal(size=(2500, 8)).astype(np.float32)
    plain = {"mean": np.zeros(8), "whitening": np.eye(8), "reference": reference, "num_neighbours": 1}
    np.testing.assert_array_equal(neighbour_distances(reference, **plain), np.zeros(2500))
    shifted = reference[[0, 1500, 2499]] + np.array([1e-3, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(neighbour_distances(shifted, **plain), 1e-3, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.floats(0.1, 10), st.floats(-5, 5))
def test_the_distance_is_free_of_units(num_neighbours, factor, offset):
    """Embeddings in other units have the same distances, and more neighbours never lessen them."""
    generator = np.random.default_rng(5)
    embeddings, reference = generator.normal(size=(3, 6)), generator.normal(size=(12, 6))
    mean, whitening = generator.normal(size=6), generator.normal(size=(6, 6))
    found = neighbour_distances(
        embeddings, mean=mean, whitening=whitening, reference=reference, num_neighbours=num_neighbours
    )
    moved = neighbour_distances(
        factor * embeddings + offset,
        mean=factor * mean + offset,
        whitening=whitening / factor,
        reference=reference,
        num_neighbours=num_neighbours,
    )
    np.testing.assert_allclose(found, moved, rtol=1e-9)
    nearest = neighbour_distances(
        embeddings, mean=mean, whitening=whitening, reference=reference, num_neighbours=1
    )
    assert (nearest <= found).all()


@pytest.mark.parametrize("num_neighbours", [0, 5])
def test_as_many_neighbours_as_references_at_most(num_neighbours):
    """No neighbour, and more than there are references, are refused."""
    with pytest.raises(ValueError, match="1 to 4 neighbours"):
        neighbour_distances(
            np.zeros((1, 2)),
            mean=np.zeros(2),
            whitening=np.eye(2),
            reference=np.zeros((4, 2)),
            num_neighbours=num_neighbours,
        )


def test_the_percentile_is_the_share_of_controls_as_near_or_nearer(calibration):
    """The percentile of the i-th control of m is 100 (i + 1) / m; below all it is 0, beyond all 100."""
    controls = calibration.control_distances
    m = len(controls)
    found = [calibration.percentile(distance) for distance in controls]
    assert found == pytest.approx([100 * sum(c <= d for c in controls) / m for d in controls])
    assert calibration.percentile(0.0) == 0
    assert calibration.percentile(controls[-1] * 2) == 100


def test_the_limit_itself_is_in_distribution(calibration):
    """A stack at `max_distance` and `max_mismatch` is in distribution, one beyond either is not."""
    distance = calibration.spec.out_of_distribution.max_distance
    mismatch = calibration.spec.stain_order.max_mismatch
    assert calibration.in_distribution(distance, Mismatch(mismatch, (0, 1)))
    assert not calibration.in_distribution(np.nextafter(distance, np.inf), Mismatch(mismatch, (0, 1)))
    assert not calibration.in_distribution(distance, Mismatch(np.nextafter(mismatch, np.inf), (0, 1)))


@settings(deadline=None)
@given(st.floats(0.005, 0.5))
def test_the_least_number_is_the_first_that_carries_the_rate(rate):
    """With n values the most extreme is passed with probability 1 / (n + 1): at most `rate` from the least n on."""
    least = least_number(rate)
    assert 1 / (least + 1) <= rate + 1e-9 < 1 / least + 1e-8


def test_the_least_numbers_of_usual_rates():
    """9 for 10 %, 19 for 5 %, 39 for 2.5 %, 99 for 1 %."""
    assert [least_number(rate) for rate in (1 - 0.9, 0.05, 0.025, 0.01)] == [9, 19, 39, 99]


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30))
def test_a_treatment_of_too_few_wells_leaves_every_stack_without_a_set(first, second):
    """With coverage 0.9 there is a set exactly from nine wells of every treatment on; else the reason names the few."""
    counts = {"EMPTY": first, "drug": second}
    sets = PredictionSets(
        coverage=0.9,
        thresholds={name: 0.5 if num >= 9 else None for name, num in counts.items()},
        num_sites={name: 4 * num for name, num in counts.items()},
        num_wells=counts,
    )
    assert (sets.reason is None) == (min(counts.values()) >= 9)
    for name, num in counts.items():
        named = f"{4 * num} sites of {num} well{'' if num == 1 else 's'} of {name}"
        assert (num < 9) == (named in (sets.reason or ""))


@pytest.mark.parametrize(
    ("num_sites", "threshold", "is_given"), [(8, 0.5, False), (9, 0.5, True), (9, 0.0, False)]
)
def test_an_older_bundle_is_judged_by_its_sites(num_sites, threshold, is_given):
    """Formats before 6 count sites, and wrote 0 where they were too few: no set then either."""
    sets = PredictionSets(coverage=0.9, thresholds={"EMPTY": threshold}, num_sites={"EMPTY": num_sites})
    assert (sets.reason is None) == is_given
    if not is_given:
        assert f"there were {num_sites} sites of EMPTY." in sets.reason
        assert "takes 9 sites of every treatment" in sets.reason


@settings(deadline=None)
@given(st.integers(1, 50), st.sampled_from([0.05, 0.025]))
def test_an_older_bundle_of_too_few_controls_says_nothing_of_the_distribution(calibration, num, rate):
    """With 5 % the flag takes 19 control sites, with 2.5 % 39; below, neither flag nor swapped channels are told."""
    old = calibration.spec.out_of_distribution.model_copy(
        update={
            "num_control_sites": num,
            "false_positive_rate": rate,
            "num_validation_sites": None,
            "num_validation_wells": None,
        }
    )
    spec = calibration.spec.model_copy(update={"out_of_distribution": old})
    stains = calibration.stain_order
    stains = dataclasses.replace(stains, mean=stains.mean[:1])
    distances = np.zeros(num)
    judged = dataclasses.replace(calibration, spec=spec, stain_order=stains, control_distances=distances)
    is_given = num >= {0.05: 19, 0.025: 39}[rate]
    assert (old.reason is None) == is_given
    for distance in (0.0, 1e9):
        assert judged.in_distribution(distance, None) == ((distance == 0) if is_given else None)
    assert judged.looks_swapped(Mismatch(1e9, (0, 1))) == is_given


def test_unusable_pixels_are_never_in_distribution(calibration):
    """A stack that no image of cells looks like is out of distribution at any distance."""
    assert calibration.in_distribution(0.0, None, is_usable=True) is True
    assert calibration.in_distribution(0.0, None, is_usable=False) is False


@settings(deadline=None)
@given(st.data())
def test_a_treatment_is_in_the_set_from_its_threshold_on(calibration, data):
    """The set holds exactly the treatments whose probability is at least their own threshold, in order."""
    thresholds = calibration.spec.prediction_sets.thresholds
    near = [
        data.draw(st.sampled_from([0.0, np.nextafter(t, 0), t, np.nextafter(t, 1), 1.0]))
        for t in thresholds.values()
    ]
    probabilities = dict(zip(thresholds, map(float, near), strict=True))
    expected = [name for name, threshold in thresholds.items() if not probabilities[name] < threshold]
    assert calibration.prediction_set(probabilities) == tuple(expected)


SPOILED = {
    "a mean of another type": ("mean", lambda array: array.astype(np.float64)),
    "a mean of another size": ("mean", lambda array: array[:512]),
    "a whitening that is not finite": ("whitening", lambda array: array * np.nan),
    "a whitening of fewer components": ("whitening", lambda array: array[:, 1:]),
    "a reference of fewer rows": ("reference", lambda array: array[1:]),
    "a reference of fewer columns": ("reference", lambda array: array[:, :4]),
    "a flat reference": ("reference", lambda array: array.ravel()),
    "a reference of objects in name": ("reference", lambda array: array.astype("S8")),
    "distances that descend": ("control_distances", lambda array: array[::-1]),
    "negative distances": ("control_distances", lambda array: array - array[0] - 1),
    "infinite distances": ("control_distances", lambda array: np.append(array[:-1], np.inf)),
    "distances of another type": ("control_distances", lambda array: array.astype(np.float32)),
    "fewer distances": ("control_distances", lambda array: array[1:]),
    "stains of fewer channels": ("stain_mean", lambda array: array[1:]),
    "stains of fewer numbers": ("stain_mean", lambda array: array[:, 1:]),
    "stains that are not finite": ("stain_mean", lambda array: array * np.nan),
    "a whitening of stains of another type": ("stain_whitening", lambda array: array.astype(np.float32)),
}


@pytest.mark.parametrize(("name", "change"), SPOILED.values(), ids=SPOILED)
def test_an_array_that_does_not_fit_is_named(calibration, name, change):
    """An array that does not fit the manifest is refused by its name."""
    arrays = arrays_of(calibration)
    with pytest.raises(CalibrationError, match=f"^{name} of calibration.npz"):
        read_calibration(
            packed({**arrays, name: change(arrays[name])}), calibration.spec, num_channels=NUM_CHANNELS
        )


@pytest.mark.parametrize("name", [*ARRAYS, *STAIN_ARRAYS])
def test_no_array_may_be_absent_or_extra(calibration, name):
    """An archive that lacks an array or has another one is refused with the arrays it holds."""
    arrays = arrays_of(calibration)
    with pytest.raises(CalibrationError, match="holds the arrays"):
        read_calibration(
            packed({**arrays, f"{name}_2": arrays[name]}), calibration.spec, num_channels=NUM_CHANNELS
        )
    del arrays[name]
    with pytest.raises(CalibrationError, match="holds the arrays"):
        read_calibration(packed(arrays), calibration.spec, num_channels=NUM_CHANNELS)


def test_an_object_array_is_refused_without_unpickling(calibration, tmp_path):
    """An archive with a pickled array is refused, and the pickle does not run."""

    class Hostile:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    content = packed({**arrays_of(calibration), "mean": np.array([Hostile()], dtype=object)})
    with pytest.raises(CalibrationError, match="not an archive of plain arrays"):
        read_calibration(content, calibration.spec, num_channels=NUM_CHANNELS)
    assert not (tmp_path / "ran").exists()


def header(shape: str) -> bytes:
    """The start of a NumPy file that states this shape, and no numbers."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def encrypted(content: bytes) -> bytes:
    """Set the flag of encryption of every member."""
    changed = bytearray(content)
    for signature, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + flag] |= 1
            at = changed.find(signature, at + 1)
    return bytes(changed)


def of_unknown_method(content: bytes) -> bytes:
    """State a method of compression that does not exist."""
    changed = bytearray(content)
    for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        changed[changed.find(signature) + method] = 77
    return bytes(changed)


@pytest.mark.parametrize("factor", [0, -1, np.nan])
def test_a_scale_of_format_2_that_is_not_positive_is_refused(factor):
    """Format 2 divides by its scale: one that is not positive and finite is refused by its name."""
    old = read_bundle(FORMAT_2).calibration
    arrays = {name: array for name, array in arrays_of(old).items() if name != "whitening"}
    content = packed({**arrays, "scale": np.full(1024, factor, np.float32)})
    with pytest.raises(CalibrationError, match=r"^scale of calibration\.npz"):
        read_calibration(content, old.spec, num_channels=NUM_CHANNELS)


def test_format_2_divides_every_number_by_its_scale():
    """The distance of format 2, whose file has a scale, is that of the numbers divided by it."""
    bundle = read_bundle(FORMAT_2)
    with np.load(FORMAT_2 / "calibration.npz") as arrays:
        scale, reference = arrays["scale"], arrays["reference"]
    embedding = bundle.golden.outputs[0].embedding[0]
    offsets = reference - (embedding.astype(np.float64) - bundle.calibration.mean) / scale
    nearest = np.sort(np.linalg.norm(offsets, axis=1))
    num_neighbours = bundle.manifest.calibration.out_of_distribution.num_neighbours
    assert bundle.calibration.distance(embedding) == pytest.approx(nearest[:num_neighbours].mean(), rel=1e-6)


HOSTILE = {
    "nothing": b"",
    "no archive": b"no archive",
    "a truncated archive": zipped({"mean.npy": header("(1024,)")})[:-10],
    "more numbers than memory": zipped({"mean.npy": header("(1000000000000, 1000)")}),
    "more numbers than integers": zipped({"mean.npy": header("(4611686018427387904, 64)")}),
    "numbers that are not there": zipped({"mean.npy": header("(1024,)")}),
    "a negative size": zipped({"mean.npy": header("(-1,)")}),
    "a header without an end": zipped({"mean.npy": header("(1024,").replace(b"}", b" ")}),
    "a header that is a program": zipped({"mean.npy": header("(__import__('os').getpid(),)")}),
    "an encrypted member": encrypted(zipped({"mean.npy": header("(0,)")})),
    "an unknown method": of_unknown_method(zipped({"mean.npy": header("(0,)")})),
    "a member that is no array": zipped({"mean.npy": b"hello"}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_archive_of_arrays_is_refused(calibration, content):
    """Bytes that are no archive of plain arrays are refused by the file's name, whatever they state."""
    with pytest.raises(CalibrationError, match=r"calibration\.npz"):
        read_calibration(content, calibration.spec, num_channels=NUM_CHANNELS)


def test_an_inflating_archive_is_refused_before_it_is_inflated(calibration):
    """A few hundred KiB that inflate beyond the limit are refused without inflating them."""
    bomb = zipped({"mean.npy": bytes(257 * 2**20)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**20
    with pytest.raises(CalibrationError, match="inflates to"):
        read_calibration(bomb, calibration.spec, num_channels=NUM_CHANNELS)


@settings(max_examples=60, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(calibration, position, bit):
    """A calibration with any bit flipped is refused as such, or still holds the arrays of the manifest."""
    content = bytearray(calibration.to_npz())
    content[int(position * len(content))] ^= 1 << bit
    reason, again = "", None
    try:
        again = read_calibration(bytes(content), calibration.spec, num_channels=NUM_CHANNELS)
    except CalibrationError as error:
        reason = str(error)
    if again is None:
        assert "calibration.npz" in reason
    else:
        assert again.reference.shape == calibration.reference.shape


def test_a_damaged_calibration_is_refused_by_name(spoiled, calibration):
    """A bundle whose calibration does not fit is refused with the bundle's folder and the file's name."""
    arrays = {**arrays_of(calibration), "whitening": np.nan * calibration.whitening}
    spoiled.replace("calibration.npz", packed(arrays))
    with pytest.raises(CalibrationError, match=rf"^{spoiled.path}: whitening of calibration\.npz"):
        read_bundle(spoiled.path)


def test_thresholds_of_other_treatments_are_refused(spoiled):
    """A manifest whose thresholds name a treatment that the bundle lacks is refused with the manifest's name."""
    manifest = json.loads((spoiled.path / "manifest.json").read_bytes())
    calibration = manifest["calibration"]
    for field in ("thresholds", "num_sites", "num_wells"):
        calibration["prediction_sets"][field]["DMSO"] = calibration["prediction_sets"][field].pop("EMPTY")
    spoiled.change_manifest(calibration=calibration)
    with pytest.raises(BundleError, match=r"manifest\.json.*thresholds of the treatments"):
        read_bundle(spoiled.path)


def test_what_is_written_is_what_is_read(tiny_module, tmp_path):
    """A bundle's calibration is read back as it was given, and the manifest states its numbers."""
    contents = tiny_module.tiny_contents(num_trees=2)
    bundle = write_bundle(tmp_path / "bundle", contents)
    assert bundle.manifest.calibration == bundle.calibration.spec == contents.calibration.spec
    for name, array in arrays_of(contents.calibration).items():
        np.testing.assert_array_equal(arrays_of(bundle.calibration)[name], array)


def test_a_calibration_that_contradicts_itself_cannot_be_made(calibration):
    """Arrays of other sizes than the numbers stated beside them are refused before anything is written."""
    with pytest.raises(CalibrationError, match=r"^reference of calibration\.npz"):
        dataclasses.replace(calibration, reference=calibration.reference[:-1])
