"""What each reason says: the sentence for a person, and the numbers for a program."""

from __future__ import annotations

from typing import Any

import pytest
from support.reports import HOUR, LIVE, NOW, POLICY, live, report, unread

from drift_gate.comparison.report import DriftReport, unknown_report
from drift_gate.facts import Finding, Unknown
from drift_gate.policy.verdict import Policy, judge

# report, policy → each reason's code, sentence and data, worst first
SAID: list[tuple[str, DriftReport, Policy, list[tuple[str, str, dict[str, Any]]]]] = [
    (
        "too many, too old",
        report(live(1007, age=13 * HOUR)),
        POLICY,
        [
            (
                "too-many-commits-behind",
                "1,007 relevant commits behind, more than 3 allowed",
                {"commits_behind": 1007, "max_commits_behind": 3, "revision": "worker-1"},
            ),
            (
                "drift-too-old",
                "behind for 13 h, longer than 12 h allowed",
                {"drift_age_s": 13 * HOUR, "max_drift_age": 12 * HOUR, "revision": "worker-1"},
            ),
        ],
    ),
    (
        "one of each side",
        report(live(1, 1, age=60)),
        POLICY,
        [
            (
                "behind-within-limit",
                "1 relevant commit behind, 3 allowed",
                {"commits_behind": 1, "max_commits_behind": 3, "revision": "worker-1"},
            ),
            (
                "diverged",
                "1 relevant commit missing, 1 relevant commit of its own",
                {"commits_behind": 1, "commits_ahead": 1, "revision": "worker-1"},
            ),
        ],
    ),
    (
        "some within the grace period",
        report(live(6, age=60, commits_within_grace=2)),
        Policy(grace_period=1800),
        [
            (
                "too-many-commits-behind",
                "4 relevant commits behind beside 2 within the grace period, more than 3 allowed",
                {"commits_behind": 4, "max_commits_behind": 3, "revision": "worker-1"},
            ),
            (
                "within-grace",
                "2 relevant commits landed less than 30 min ago, not counted",
                {"commits_within_grace": 2, "grace_period": 1800.0, "revision": "worker-1"},
            ),
        ],
    ),
    (
        "most within the grace period",
        report(live(3, age=60, commits_within_grace=1)),
        Policy(grace_period=1800),
        [
            (
                "behind-within-limit",
                "2 relevant commits behind beside 1 within the grace period, 3 allowed",
                {"commits_behind": 3, "max_commits_behind": 3, "revision": "worker-1"},
            ),
            (
                "within-grace",
                "1 relevant commit landed less than 30 min ago, not counted",
                {"commits_within_grace": 1, "grace_period": 1800.0, "revision": "worker-1"},
            ),
        ],
    ),
    (
        "ahead",
        report(live(0, 2)),
        POLICY,
        [
            (
                "ahead",
                "2 relevant commits live that the target lacks",
                {"commits_ahead": 2, "revision": "worker-1"},
            )
        ],
    ),
    (
        "behind, by the landing",
        report(live(1, age=60, dated_by="landing")),
        POLICY,
        [
            (
                "behind-within-limit",
                "1 relevant commit behind, 3 allowed",
                {
                    "commits_behind": 1,
                    "max_commits_behind": 3,
                    "dated_by": "landing",
                    "revision": "worker-1",
                },
            )
        ],
    ),
    (
        "behind, by what the gate saw",
        report(live(1, age=61, dated_by="confirmation")),
        Policy(max_drift_age=60),
        [
            (
                "drift-too-old",
                "behind for 1 min 1 s, longer than 1 min allowed; counted from when this gate last saw the "
                "target without it, as the commits are older",
                {"drift_age_s": 61, "max_drift_age": 60, "dated_by": "confirmation", "revision": "worker-1"},
            )
        ],
    ),
    (
        "a difference that no commit accounts for",
        report(live(dropped=("worker/a.py",))),
        POLICY,
        [
            (
                "content-differs",
                "1 relevant file differs though no commit that counts, on either side, accounts for it: "
                "worker/a.py",
                {"paths": ["worker/a.py"], "paths_unaccounted": 1, "revision": "worker-1"},
            )
        ],
    ),
    (
        "many of them",
        report(live(dropped=tuple(f"{number:02}" for number in range(1_234)))),
        POLICY,
        [
            (
                "content-differs",
                "1,234 relevant files differ though no commit that counts, on either side, accounts for it: "
                "00, 01, 02, 03, 04, …",
                {
                    "paths": [f"{number:02}" for number in range(20)],
                    "paths_unaccounted": 1_234,
                    "revision": "worker-1",
                },
            )
        ],
    ),
    (
        "another commit",
        report(live(commit=LIVE)),
        POLICY,
        [
            (
                "content-identical",
                "another commit, the same relevant files",
                {"commits_neutral": 0, "revision": "worker-1"},
            )
        ],
    ),
    (
        "nothing may be missing for any time",
        report(live(1, age=1)),
        Policy(max_drift_age=0),
        [
            (
                "drift-too-old",
                "behind for 1 s, longer than 0 s allowed",
                {"drift_age_s": 1, "max_drift_age": 0.0, "revision": "worker-1"},
            )
        ],
    ),
    (
        "of two revisions each is named",
        report(live(), live(0, 1, revision="worker-2")),
        POLICY,
        [
            (
                "ahead",
                "worker-2: 1 relevant commit live that the target lacks",
                {"commits_ahead": 1, "revision": "worker-2"},
            )
        ],
    ),
    (
        "of several revisions each is named",
        report(
            live(), live(0, 1, revision="worker-2"), live(0, 1, revision=None), unread(revision="worker-4")
        ),
        POLICY,
        [
            (
                "unknown-drift",
                "worker-4: timeout, it says",
                {"cause": "timeout", "retryable": True, "revision": "worker-4"},
            ),
            (
                "ahead",
                "worker-2: 1 relevant commit live that the target lacks",
                {"commits_ahead": 1, "revision": "worker-2"},
            ),
            (
                "ahead",
                "1 relevant commit live that the target lacks",
                {"commits_ahead": 1, "revision": None},
            ),
        ],
    ),
    (
        "a cause is told once",
        report(unread(), unread(revision="worker-3"), unread("not-found")),
        POLICY,
        [
            (
                "unknown-drift",
                "worker-2: timeout, it says",
                {"cause": "timeout", "retryable": True, "revision": "worker-2"},
            ),
            (
                "unknown-drift",
                "worker-2: not-found, it says",
                {"cause": "not-found", "retryable": True, "revision": "worker-2"},
            ),
        ],
    ),
    (
        "nothing known of the service",
        unknown_report("worker", "job", Unknown(cause="not-found", message="no such job")),
        POLICY,
        [
            (
                "unknown-drift",
                "no such job",
                {"cause": "not-found", "retryable": False, "revision": None},
            )
        ],
    ),
    (
        "a finding",
        report(live()).model_copy(
            update={"findings": (Finding(code="traffic-split", message="50 to 50", data={"revisions": 2}),)}
        ),
        POLICY,
        [("traffic-split", "50 to 50", {"revisions": 2})],
    ),
]


@pytest.mark.parametrize(("facts", "policy", "said"), [r[1:] for r in SAID], ids=[r[0] for r in SAID])
def test_each_reason_says_what_it_rests_on(
    facts: DriftReport, policy: Policy, said: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """A sentence for a person, and the same numbers for a program."""
    verdict = judge(facts, policy, NOW)
    assert [(each.code, each.message, each.data) for each in verdict.reasons] == said
