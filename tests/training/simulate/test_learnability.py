import importlib.util
from pathlib import Path

import pytest

from phenotrain.simulate import ScreenSpec, simulate_screen

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "simulation.py"

# The highest and the lowest dose that act, with fewer wells than the benchmark's screen.
SPEC = ScreenSpec(
    seed=3, field_px=256, doses=(0.1, 0.001), wells_per_treatment=2, control_wells=8, sites_per_well=3
)


@pytest.fixture(scope="module")
def benchmark_module():
    specification = importlib.util.spec_from_file_location("simulation_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_texture_tells_treatments_apart_and_mean_intensity_tells_plates(tmp_path, benchmark_module):
    """Texture tells treatments apart on a held-out experiment; mean intensities tell the plate instead."""
    screen = tmp_path / "screen"
    simulate_screen(screen, SPEC)
    rows, _, _ = benchmark_module.measure(screen, 2)
    texture_site, texture_well, per_dose, texture_plate = rows["texture, plate-matched"]
    _, intensity_well, _, intensity_plate = rows["mean intensities, not matched"]
    assert texture_site > 0.85
    assert texture_well > 0.95
    assert min(per_dose.values()) > 0.9
    assert intensity_well < 0.7
    assert intensity_plate > 0.5 > texture_plate
