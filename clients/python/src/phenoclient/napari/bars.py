"""A small bar chart for the dock."""

from collections.abc import Mapping

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

# Okabe and Ito's blue and vermilion: told apart with every kind of colour vision, and on dark and light themes.
_POSITIVE, _NEGATIVE = QColor("#0072b2"), QColor("#d55e00")
_GAP_PX = 6


class Bars(QWidget):
    """A row a value: its name, a bar from zero, its number.

    Args:
        parent: The widget that holds it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values: dict[str, float] = {}
        self._limit = 1.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_values(self, values: Mapping[str, float], *, limit: float | None = None) -> None:
        """Draws values in their order.

        Args:
            values: Number of every name, positive or negative.
            limit: Value of the longest bar; None for the greatest magnitude among them.
        """
        self.values = dict(values)
        greatest = max((abs(value) for value in self.values.values()), default=0.0)
        self._limit = limit if limit is not None else greatest or 1.0
        in_words = ", ".join(f"{name} {value:.2f}" for name, value in self.values.items())
        self.setAccessibleDescription(in_words)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As many rows as values."""
        return QSize(220, self._row_height() * len(self.values))

    def minimumSizeHint(self) -> QSize:
        """The same height, however narrow."""
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the rows."""
        super().paintEvent(a0)
        painter = QPainter(self)
        metrics = painter.fontMetrics()
        longest_name_px = max((metrics.horizontalAdvance(name) for name in self.values), default=0)
        names_px = min(longest_name_px + _GAP_PX, self.width() // 2)
        numbers_px = metrics.horizontalAdvance("-00.00")
        room_px = max(0, self.width() - names_px - numbers_px - 2 * _GAP_PX)
        has_negative = min(self.values.values(), default=0) < 0
        zero_px = names_px + _GAP_PX + (room_px // 2 if has_negative else 0)
        longest_px = room_px // 2 if has_negative else room_px
        height = self._row_height()
        text = self.palette().color(QPalette.ColorRole.WindowText)
        for row, (name, value) in enumerate(self.values.items()):
            top = row * height
            painter.setPen(text)
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, names_px)
            painter.drawText(QRect(0, top, names_px, height), Qt.AlignmentFlag.AlignVCenter, shown)
            length_px = round(longest_px * min(1.0, abs(value) / self._limit))
            left_px = zero_px - length_px if value < 0 else zero_px
            painter.fillRect(
                QRect(left_px, top + 3, length_px, height - 6), _NEGATIVE if value < 0 else _POSITIVE
            )
            painter.drawText(
                QRect(self.width() - numbers_px, top, numbers_px, height),
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
                f"{value:.2f}",
            )
        painter.end()

    def _row_height(self) -> int:
        return self.fontMetrics().height() + 4
