"""What Qt's type stubs leave unknown, met here and nowhere else."""

from collections.abc import Callable, Iterable
from typing import Protocol, cast

from qtpy.QtWidgets import QComboBox


class _Signal(Protocol):
    def connect(self, slot: Callable[..., object], /) -> object: ...


def on(signal: object, slot: Callable[..., object]) -> None:
    """Calls a slot whenever a signal is emitted.

    Args:
        signal: A bound signal.
        slot: A method of a widget: Qt lets go of it when the widget is deleted.
    """
    cast("_Signal", signal).connect(slot)


def offer(choice: QComboBox, names: Iterable[str], chosen: str) -> None:
    """Fills a combo box, and chooses one of its names, or none for an empty text, without a signal."""
    was_blocked = choice.blockSignals(True)
    choice.clear()
    for name in names:
        choice.addItem(name)
    choice.setCurrentIndex(choice.findText(chosen) if chosen else -1)
    choice.blockSignals(was_blocked)
