"""The last looks at some services, side by side."""

from __future__ import annotations

from datetime import timedelta

from journal.stores import SERVICE, at, elsewhere, entry

from drift_gate.journal.last_looks import LOOKS, SERVICES, last_looks


def test_decisions_of_one_moment_are_one_look_and_what_nobody_knows_is_no_zero() -> None:
    made = [
        entry(0, 0),
        entry(2, 4),
        entry(2, 1, "api"),
        elsewhere(3),
        entry(4, None),
        entry(4, 0, "api"),
        entry(5, 7, "another"),
    ]
    found = last_looks([SERVICE, "api"], reversed(made))
    assert [(row.at, row.words, row.behind) for row in found.rows] == [
        (at(0), ("identical", "not looked at"), (0, None)),
        (at(2), ("behind, 4", "behind, 1"), (4, 1)),
        (at(4), ("unknown: timeout", "identical"), (None, 0)),
    ]


def test_only_the_last_ones_and_the_first_services_are_shown() -> None:
    names = [f"s{number}" for number in range(SERVICES + 3)]
    found = last_looks(names, [entry(hours, 1, "s0") for hours in range(LOOKS + 5)])
    assert (found.services, found.more_services) == (tuple(names[:SERVICES]), 3)
    assert (found.rows[0].at, len(found.rows)) == (at(0) + timedelta(hours=5), LOOKS)
