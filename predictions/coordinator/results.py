"""The predictions of a finished batch as a CSV file for whoever comes next."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from predictions.coordinator.batches import Result
from predictions.coordinator.exceptions import BatchError


def write_predictions(file: Path, results: Iterable[Result]) -> None:
    """Write ``results`` to ``file``, whole or not at all; an older file of that name is replaced.

    Raises ``BatchError`` when it cannot be written.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(Result._fields)
            writer.writerows(results)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BatchError(f"the predictions cannot be written to {file}: {error.strerror}") from error
