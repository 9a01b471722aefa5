"""What SimCLR training reports of each epoch, as CSV and for TensorBoard."""

import csv
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import tensorflow as tf


class EpochRow(NamedTuple):
    """One line of `log.csv`; `wall_s` is in seconds, the rest has no unit."""

    epoch: int
    loss: float
    contrastive_accuracy: float
    learning_rate: float
    wall_s: float


class TrainingLog:
    """Appends epochs to `log.csv` and to TensorBoard events in one folder.

    Args:
        folder: An existing folder.
        first_epoch: Where training goes on; what an interrupted run wrote of later epochs is dropped.
    """

    def __init__(self, folder: Path, *, first_epoch: int) -> None:
        path = folder / "log.csv"
        kept = [row for row in read_log(folder) if row.epoch < first_epoch]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file)
        self._csv.writerow(EpochRow._fields)
        self._csv.writerows(kept)
        self._file.flush()
        self._events = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def write(self, row: EpochRow) -> None:
        """Adds one epoch to both."""
        self._csv.writerow(row)
        self._file.flush()
        with self._events.as_default(step=row.epoch):
            for name, value in row._asdict().items():
                tf.summary.scalar(f"simclr/{name}", value)
        self._events.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._events.close()


def read_log(folder: Path) -> list[EpochRow]:
    """The epochs in a folder's `log.csv`; none when there is no such file."""
    path = folder / "log.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            EpochRow(int(row["epoch"]), *(float(row[name]) for name in EpochRow._fields[1:]))
            for row in csv.DictReader(file)
        ]
