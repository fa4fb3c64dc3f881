"""The names that a person may have meant. Pure, and light: a mistyped `explain` loads nothing else."""

from __future__ import annotations

from collections.abc import Collection


def near_misses(name: str, known: Collection[str]) -> str:
    """`; did you mean …?` for the names that ``name`` may mean, first those that it begins; or nothing."""
    import difflib  # whoever spells all of it well needs none

    begun = [each for each in known if name and each.startswith(name)]
    near = list(dict.fromkeys([*begun, *difflib.get_close_matches(name, known, n=3)]))[:3]
    return f"; did you mean {' or '.join(near)}?" if near else ""
