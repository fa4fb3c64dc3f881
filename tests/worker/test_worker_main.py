"""The worker as its image starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from predictions.worker.__main__ import answers

ROOT = Path(__file__).parents[2]
REQUEST = {"player_id": "p1", "player_name": "P", "game_id": "g1", "recent_points": [10, 20]}


def test_the_process_answers_line_by_line() -> None:
    """A request in, a prediction out, as the Dockerfile's CMD runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "predictions.worker"],
        input=json.dumps(REQUEST) + "\n\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"player_id": "p1", "game_id": "g1", "points": 15.0}


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", json.dumps({**REQUEST, "recent_points": []}), json.dumps({**REQUEST, "x": 1})]
)
def test_a_line_that_is_no_request_is_named(line: str) -> None:
    """The line's number, and nothing is made up for it."""
    with pytest.raises(ValueError, match="line 2 is no request"):
        list(answers([json.dumps(REQUEST), line]))
