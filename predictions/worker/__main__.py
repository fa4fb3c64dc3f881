"""``python -m predictions.worker``: requests as JSON lines on stdin, predictions as JSON lines on stdout.

With ``--version-document`` it says what it holds instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from predictions.worker.version import version
from predictions.worker.worker import PredictionRequest, predict


def answers(lines: Iterable[str]) -> Iterator[str]:
    """A line for each request that is not blank. Raises ``ValueError`` naming the line that is none."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            request = PredictionRequest(**{**fields, "recent_points": tuple(fields["recent_points"])})
            yield json.dumps(asdict(predict(request)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"line {number} is no request: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 for a line that is no request."""
    parser = argparse.ArgumentParser(prog="python -m predictions.worker", description=__doc__)
    parser.add_argument(
        "--version-document", action="store_true", help="print the fingerprint as JSON and end"
    )
    if parser.parse_args(argv).version_document:
        print(json.dumps(version(os.environ).document(), indent=1))
        return 0
    try:
        for answer in answers(sys.stdin):
            print(answer, flush=True)
    except ValueError as error:
        print(f"predictions.worker: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
