"""A plate coloured by a number a well, with marks that stay legible on the smallest wells."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module  # matplotlib has no types
from math import isfinite
from typing import Any, Literal

from phenoclient.plate.reading.sites import row_letters, well_position

Mark = Literal["control", "unknown", "notice", "learned", "perhaps learned"]

MARKS: dict[Mark, str] = {
    "control": "untreated",
    "unknown": "not in the plate map",
    "notice": "has a notice of the service",
    "learned": "the bundle learned from it",
    "perhaps learned": "the bundle may have learned from it",
}
"""What each mark stands for"""

_FORMATS = ((8, 12), (16, 24), (32, 48))
_WIDTH = 720.0
_LEFT, _TOP, _BAR = 26.0, 20.0, 92.0
_FONT = 11.0
_LETTERS = f'font-size="{_FONT:.0f}" fill="currentColor"'
_NUM_COLOURS = 128
_HALF_COLUMNS = 24
_LEAST_LABEL = 16.0
"""Space that a label of a row or column takes"""


@dataclass(frozen=True)
class Scale:
    """Which colour a value has.

    Attributes:
        label: What the values are.
        low: Value of the first colour.
        high: Value of the last.
        colours: Name of a matplotlib colour map.
    """

    label: str
    low: float
    high: float
    colours: str

    @classmethod
    def around_zero(cls, label: str, values: Iterable[float]) -> "Scale":
        """A scale of two hues, one below and one above 0, as far as the largest value on either side."""
        largest = max((abs(value) for value in values if isfinite(value)), default=0.0) or 1.0
        return cls(label, -largest, largest, "PuOr_r")

    @classmethod
    def from_zero(cls, label: str, values: Iterable[float]) -> "Scale":
        """A scale from 0 to the largest value."""
        return cls(
            label, 0.0, max((value for value in values if isfinite(value)), default=0.0) or 1.0, "cividis"
        )

    def step(self, value: float) -> int:
        """Which of the colours a value has."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * (_NUM_COLOURS - 1))

    def colour(self, step: int) -> str:
        """A colour as CSS writes it."""
        colours: Any = import_module("matplotlib").colormaps[self.colours]
        red, green, blue, _ = colours(step / (_NUM_COLOURS - 1), bytes=True)
        return f"#{red:02x}{green:02x}{blue:02x}"


class PlateDrawing:
    """Draws one plate of 96, 384 or 1536 wells, once for each thing that it is coloured by.

    Args:
        wells: Its wells.
        marks: The wells that have each mark.
        name: Prefix of every id, unique on the page.
    """

    def __init__(self, wells: Sequence[str], marks: Mapping[Mark, Sequence[str]], name: str) -> None:
        self._positions = {well: well_position(well) for well in wells}
        self._num_rows, self._num_columns = _format(list(self._positions.values()))
        self._size = (_WIDTH - _LEFT - _BAR) / self._num_columns
        self._marks = marks
        self._name = name

    @property
    def min_width_rem(self) -> float:
        """Width below which wells and marks could not be told apart."""
        return {12: 24.0, 24: 34.0}.get(self._num_columns, 46.0)

    def width_rem(self, num_plates: int) -> float:
        """Width on a wide page: the whole, or half of it where there are several plates and wells are large enough."""
        return 31.0 if num_plates > 1 and self._num_columns <= _HALF_COLUMNS else 46.0

    def shared(self) -> str:
        """What all drawings of the plate have in common, to stand on the page once."""
        return (
            f'<svg class="defs" aria-hidden="true"><defs><g id="{self._name}-marks">'
            + "".join(
                mark_paths(mark, [self._corner(well) for well in wells], self._size)
                for mark, wells in self._marks.items()
            )
            + f'</g><g id="{self._name}-grid">{self._grid()}</g></defs></svg>'
        )

    def figure(self, values: Mapping[str, float], scale: Scale, name: str) -> str:
        """The plate as an `<svg>` element.

        Args:
            values: By well; NaN and wells that are not there are left open.
            scale: Their colours.
            name: Unique on the page.
        """
        by_step: defaultdict[int, list[str]] = defaultdict(list)
        for well, value in values.items():
            if isfinite(value):
                x, y = self._corner(well)
                by_step[scale.step(value)].append(
                    f"M{x:.1f} {y:.1f}h{self._size:.1f}v{self._size:.1f}h-{self._size:.1f}z"
                )
        cells = "".join(
            f'<path fill="{scale.colour(step)}" d="{"".join(paths)}"/>'
            for step, paths in sorted(by_step.items())
        )
        height = _TOP + self._num_rows * self._size + 4
        description = f"Plate of {sum(map(isfinite, values.values()))} wells coloured by {scale.label}."
        return (
            f'<svg role="img" aria-label="{escape(description)}" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" '
            f'style="min-width: {self.min_width_rem}rem">{cells}<use href="#{self._name}-grid"/>'
            f'<use href="#{self._name}-marks"/>{self._bar(scale, name)}</svg>'
        )

    def _corner(self, well: str) -> tuple[float, float]:
        row, column = self._positions[well]
        return _LEFT + (column - 1) * self._size, _TOP + (row - 1) * self._size

    def _grid(self) -> str:
        width, height = self._num_columns * self._size, self._num_rows * self._size
        side = f"h{self._size:.1f}v{self._size:.1f}h-{self._size:.1f}z"
        wells = "".join(f"M{x:.1f} {y:.1f}{side}" for x, y in map(self._corner, self._positions))
        outline = f"M{_LEFT:.1f} {_TOP:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"
        every = next(step for step in (1, 2, 4, 8) if step * self._size >= _LEAST_LABEL)
        middle = self._size / 2
        columns = [
            _text(_LEFT + (column - 1) * self._size + middle, _TOP - 6, str(column))
            for column in range(1, self._num_columns + 1, every)
        ]
        rows = [
            _text(_LEFT - 11, _TOP + (row - 1) * self._size + middle + _FONT / 3, row_letters(row))
            for row in range(1, self._num_rows + 1, every)
        ]
        path = (
            f'<path fill="none" stroke="currentColor" stroke-width="0.5" opacity="0.6" d="{outline}{wells}"/>'
        )
        return f"{path}{''.join(columns)}{''.join(rows)}"

    def _bar(self, scale: Scale, name: str) -> str:
        """The colours and the numbers at the ends and between; the label stands beside, read upwards."""
        left, height = _WIDTH - _BAR + 14, self._num_rows * self._size
        stops = "".join(
            f'<stop offset="{share}" stop-color="{scale.colour(round((1 - share) * (_NUM_COLOURS - 1)))}"/>'
            for share in (0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1)
        )
        middle = (scale.low + scale.high) / 2
        numbers = "".join(
            _text(
                left + 16,
                _TOP + share * height + offset,
                f"{value:.3g}".replace("-", "\N{MINUS SIGN}"),
                anchor="start",
            )
            for value, share, offset in (
                (scale.high, 0, _FONT - 2),
                (middle, 0.5, _FONT / 3),
                (scale.low, 1, 0),
            )
        )
        at = f"{_WIDTH - 12:.1f} {_TOP + height / 2:.1f}"
        return (
            f'<linearGradient id="{name}-bar" x2="0" y2="1">{stops}</linearGradient>'
            f'<rect x="{left:.1f}" y="{_TOP}" width="12" height="{height:.1f}" fill="url(#{name}-bar)"/>{numbers}'
            f'<text {_LETTERS} text-anchor="middle" transform="translate({at}) rotate(-90)">'
            f"{escape(scale.label)}</text>"
        )


def mark_paths(mark: Mark, corners: Sequence[tuple[float, float]], size: float) -> str:
    """A mark on wells, dark with a light rim or the other way round, so that it shows on every colour.

    Args:
        mark: Which.
        corners: Upper left corner of each well, `(x, y)`.
        size: Side of a well.
    """
    if not corners:
        return ""
    path = "".join(_shape(mark, x, y, size) for x, y in corners)
    rim, line = max(0.26 * size, 3.2), max(0.1 * size, 1.4)
    rim, line = min(rim, 6.0), min(line, 2.4)
    if mark in {"control", "unknown"}:
        return (
            f'<path fill="none" stroke="#fff" stroke-width="{rim:.1f}" d="{path}"/>'
            f'<path fill="none" stroke="#000" stroke-width="{line:.1f}" d="{path}"/>'
        )
    fill, edge = ("#fff", "#000") if mark == "perhaps learned" else ("#000", "#fff")
    return f'<path fill="{fill}" stroke="{edge}" stroke-width="{line / 1.4:.1f}" d="{path}"/>'


def _shape(mark: Mark, x: float, y: float, size: float) -> str:
    if mark == "control":
        inset = 0.18 * size
        side = size - 2 * inset
        return f"M{x + inset:.1f} {y + inset:.1f}h{side:.1f}v{side:.1f}h-{side:.1f}z"
    if mark == "unknown":
        return f"M{x + 0.15 * size:.1f} {y + 0.85 * size:.1f}L{x + 0.85 * size:.1f} {y + 0.15 * size:.1f}"
    if mark == "notice":
        side = min(0.55 * size, 12.0)
        return f"M{x + size - side:.1f} {y:.1f}h{side:.1f}v{side:.1f}z"
    radius = min(0.2 * size, 6.0)
    arc = f"a{radius:.1f} {radius:.1f} 0 1 0"
    return (
        f"M{x + size / 2 - radius:.1f} {y + size / 2:.1f}{arc} {2 * radius:.1f} 0{arc} -{2 * radius:.1f} 0z"
    )


def legend_swatch(mark: Mark) -> str:
    """A well with the mark, as an `<svg>` element of the size of a letter."""
    return (
        '<svg class="mark" viewBox="0 0 20 20" aria-hidden="true"><rect width="20" height="20" fill="#b9a7c9"/>'
        f"{mark_paths(mark, [(0.0, 0.0)], 20.0)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text {_LETTERS} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _format(positions: Sequence[tuple[int, int]]) -> tuple[int, int]:
    num_rows = max(row for row, _ in positions)
    num_columns = max(column for _, column in positions)
    return next(
        (shape for shape in _FORMATS if num_rows <= shape[0] and num_columns <= shape[1]),
        (num_rows, num_columns),
    )
