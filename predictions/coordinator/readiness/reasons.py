"""Every reason code of the readiness checks: its default decision, what it means, what to do.

A code, once published, keeps its meaning. The causes of an unknown are the drift gate's.
"""

from __future__ import annotations

from drift_gate.policy.codes import Meaning

UNKNOWN = "unknown-readiness"

REASONS: dict[str, Meaning] = {
    "too-low": Meaning("deny", "the value is below its fixed limit", "look for what did not arrive"),
    "too-high": Meaning("deny", "the value is above its fixed limit", "look for what ran too often"),
    "abnormally-low": Meaning(
        "deny",
        "the value is lower than its own history makes likely",
        "look for what did not arrive; if this is the new normal, declare the change in `season_starts`",
    ),
    "abnormally-high": Meaning(
        "deny",
        "the value is higher than its own history makes likely",
        "look for what ran too often; if this is the new normal, declare the change in `season_starts`",
    ),
    UNKNOWN: Meaning(
        "deny",
        "a source could not be asked, or answered something that cannot be used; the message says why",
        "repair the source or the query; `failure_policy` decides how it counts",
    ),
    "too-few-days": Meaning(
        "warn",
        "the history has fewer days with a value than `least_days`: nobody can say what is normal",
        "wait for the season to go on, or set a fixed limit until then",
    ),
    "history-all-zero": Meaning(
        "warn",
        "every day of the history is zero: such a history would call anything normal",
        "look at the query and at the source's past",
    ),
    "days-set-aside": Meaning(
        "warn",
        "some rows of the history cannot be used (no number, negative, over 100 %); they count as missing",
        "look at the days that the message names",
    ),
    "players-without-features": Meaning(
        "allow", "names who on the slate has no features; the share decides", "make their features"
    ),
    "nobody-played": Meaning(
        "warn",
        "the day had predictions, and no player who played: games were put off, or their results are missing",
        "look whether the results have arrived",
    ),
    "nobody-predicted": Meaning(
        "warn", "players played on the day, and nobody was predicted", "look at that day's batch"
    ),
    "nothing-to-grade": Meaning(
        "allow", "the day had no predictions and no player who played", "nothing; a day without games"
    ),
    "definitions-differ": Meaning(
        "allow",
        "the two definitions of grading coverage give different shares; the message accounts for it",
        "read which players make the difference",
    ),
}

#: What says "could not be judged" rather than "is bad".
UNJUDGED = frozenset({UNKNOWN, "too-few-days", "history-all-zero"})
