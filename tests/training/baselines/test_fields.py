"""What is measured in a field without a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import disk

from phenotrain.baselines.fields import field_features, nuclei_features
from phenotrain.stains_by_name import nuclear_channel


@given(st.integers(1, 12), st.integers(4, 7), st.integers(0, 2**32 - 1))
def test_nuclei_are_counted(num_nuclei, radius, seed):
    """As many separate discs as were drawn are found, with their area to within a rim of one pixel."""
    image = np.random.default_rng(seed).normal(10, 0.5, (96, 128))
    cells = np.random.default_rng(seed).permutation(12)[:num_nuclei]
    for cell in cells:
        image[disk((16 + 32 * (cell // 4), 16 + 32 * (cell % 4)), radius)] += 60
    count, area = nuclei_features(image)
    assert count == num_nuclei
    assert np.pi * (radius - 1) ** 2 <= area <= np.pi * (radius + 1.5) ** 2


def test_a_blank_image_has_no_nuclei():
    """A blank image gives zeros, not an error."""
    np.testing.assert_array_equal(nuclei_features(np.full((20, 20), 7.0)), [0, 0])


def test_intensities_come_first():
    """Mean, deviation and three quantiles of every stain stand before number and area of nuclei."""
    field = np.stack([np.full((16, 16), 3.0), np.arange(256.0).reshape(16, 16)])
    features = field_features(field, nuclear=0)
    assert features.shape == (5 * 2 + 2,)
    np.testing.assert_allclose(features[:4], [3, 127.5, 0, np.arange(256).std()])
    np.testing.assert_allclose(features[[5, 7, 9]], np.quantile(np.arange(256), [0.05, 0.5, 0.95]))


@pytest.mark.parametrize(
    ("stains", "channel"), [(("ConA", "Hoechst"), 1), (("FKHR-GFP", "DNA"), 1), (("a", "b"), 0)]
)
def test_the_nuclear_stain_is_known_by_its_name(stains, channel):
    """Hoechst, DAPI and DNA are nuclear; without such a name the first channel is taken."""
    assert nuclear_channel(stains) == channel
