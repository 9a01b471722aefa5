"""The heatmap's colours are the same in the service's picture, on the web page and in Fiji."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from cmap import Colormap

CLIENTS = Path(__file__).parents[2] / "clients"


def page_colours(name):
    source = (CLIENTS / "web/src/viewer/colourMaps.ts").read_text()
    [parts] = re.findall(rf'^  {name}:((?:[ +\n]*"[0-9a-f]+")+)', source, re.MULTILINE)
    colours = bytes.fromhex("".join(re.findall(r"[0-9a-f]{96}", parts)))
    return np.frombuffer(colours, np.uint8).reshape(-1, 3)


def fiji_anchors():
    source = (CLIENTS / "fiji/Phenoserve_Explain.py").read_text()
    [colours] = re.findall(r"^_INFERNO_HEX = (\(.*?^\))", source, re.DOTALL | re.MULTILINE)
    return [tuple(bytes.fromhex(colour)) for colour in ast.literal_eval(colours).split()]


def interpolated(anchors):
    places = np.linspace(0, len(anchors) - 1, 256)
    return np.stack([np.interp(places, range(len(anchors)), part) for part in np.transpose(anchors)], axis=-1)


def levels(name):
    return Colormap(name).lut(256)[:, :3] * 255


@pytest.mark.parametrize("name", ["inferno", "viridis", "cividis"])
def test_every_colour_of_the_page_is_that_of_the_map(name):
    """All 256 colours of a map on the page are the map's own."""
    np.testing.assert_array_equal(page_colours(name), np.rint(levels(name)))


def test_every_colour_in_fiji_lies_within_two_levels_of_the_map():
    """All 256 colours that the Fiji script interpolates lie within 2 levels of inferno's own."""
    assert np.abs(interpolated(fiji_anchors()) - levels("inferno")).max() <= 2
