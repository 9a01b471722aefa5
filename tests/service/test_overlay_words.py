"""The overlay's words: every character is seen, and names that differ read differently."""

import json
import unicodedata
from pathlib import Path

import pytest

from phenoserve.bundle import Manifest
from phenoserve.overlay.words import drawable, font_of, labels, shortened

FONT = font_of(18)
NAMES = ("TNF-\u03b1", "\u03b3H2AX", "\u03b1-tubulin", "β-actin", "10 µm", "a \u2013 b", "é", "ä", "Ł")


def mask(character):
    drawn = FONT.getmask(character)
    return drawn.size, bytes(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_names_in_latin_and_greek_are_drawn_as_they_are(name):
    """The font holds a glyph of its own for every character of names in Latin and Greek."""
    assert drawable(name) == name
    assert mask("\U0010ffff") not in [mask(character) for character in name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("抗体", "⟨U+6297⟩⟨U+4F53⟩"),
        ("🧬 dye", "⟨U+1F9EC⟩ dye"),
        ("q\u0303", "q⟨U+0303⟩"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("שם", "⟨U+05E9⟩⟨U+05DD⟩"),
        ("⟨U+6297⟩", "⟨U+27E8⟩U+6297⟨U+27E9⟩"),
    ],
)
def test_what_the_font_cannot_draw_is_written_out(name, expected):
    """Characters without a glyph, marks, unseen and right-to-left ones stand as their code points."""
    assert drawable(name) == expected
    assert mask("\U0010ffff") not in [mask(character) for character in drawable(name)]


def test_accents_compose_with_their_letter():
    """A letter and its accent are drawn as the one letter that Unicode composes of them."""
    assert drawable(unicodedata.normalize("NFD", "éä")) == "éä"


@pytest.mark.parametrize("width", [60, 130, 260])
def test_long_names_fit_and_stay_apart(width):
    """Names that differ in their middle or end alone are drawn within their width and differently."""
    names = [f"{'long ' * 20}{middle}{' same' * 20}" for middle in "abc"] + ["抗" * 30, "体" * 30]

    drawn = labels(names, FONT, width)

    assert len(set(drawn)) == len(names)
    assert all(FONT.getlength(label) <= width for label in drawn)


def test_a_shortened_name_keeps_its_end_and_whole_code_points():
    """The middle goes first, and no code point is cut in two."""
    assert shortened("Anti-tubulin Alexa Fluor 488", FONT, 130).endswith("488")
    assert shortened("抗体抗体", FONT, 230).replace("⟨U+6297⟩", "").replace("⟨U+4F53⟩", "") == "…"


GREEK = {
    "Hoechst": "\u03b1-tubulin",
    "ConA": "\u03b3H2AX",
    "Syto14": "ΔΨm (10 µM)",
    "IFN-alpha-A": "TNF-\u03b1",
    "IFNB-1": "TGF-β1",
    "IFN-gamma": "IFN-\u03b3",
    "IFN-omega": "IFN-ω",
}


def manifest_of(renamed):
    """The golden bundle's manifest with other names of stains and treatments."""
    told = (Path(__file__).parents[1] / "golden/format-7/manifest.json").read_text("utf-8")
    for name, other in renamed.items():
        told = told.replace(f'"{name}"', json.dumps(other))
    return Manifest.model_validate_json(told, strict=True)


@pytest.mark.parametrize("manifest", [manifest_of({}), manifest_of(GREEK)], ids=["golden", "Greek"])
def test_every_name_of_a_manifest_is_drawn_as_it_is(manifest):
    """Stains and treatments of a manifest, Greek ones too, are drawn in their own characters and without a box."""
    for name in (*manifest.input.channels, *manifest.treatments):
        assert drawable(name) == name
        assert mask("\U0010ffff") not in [mask(character) for character in name]
