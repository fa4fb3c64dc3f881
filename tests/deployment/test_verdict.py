"""The policy's judgement: tables of reports with the verdict that is right."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deployment.facts import Finding, Target, Unknown
from shared.deployment.reasons import DECISIONS, REASONS
from shared.deployment.report import DriftReport, LiveReport, Status
from shared.deployment.verdict import BreakGlass, Outcome, Policy, Verdict, duration, judge

NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
LIVE, TARGET = "a" * 40, "b" * 40
HOUR = 3600
POLICY = Policy()


def live(behind: int = 0, ahead: int = 0, age: int | None = None, **more: Any) -> LiveReport:
    differs = bool(more.pop("differs", behind or ahead))
    status: Status = "identical"
    if differs:
        status = "behind" if behind and not ahead else "ahead" if ahead and not behind else "diverged"
    return LiveReport(
        revision=more.pop("revision", "worker-1"),
        percent=more.pop("percent", 100),
        status=status,
        commit=more.pop("commit", LIVE if differs else TARGET),
        commits_behind=behind,
        commits_ahead=ahead,
        commits_neutral=0,
        content_differs=differs,
        drift_age_s=age if behind else (0 if status == "identical" else None),
        **more,
    )


def unread(cause: Any = "timeout", revision: str = "worker-2") -> LiveReport:
    unknown = Unknown(cause=cause, message=f"{cause}, it says", retryable=True)
    return LiveReport(revision=revision, percent=50, status="unknown", unknown=unknown)


def report(*lives: LiveReport, codes: tuple[str, ...] = ()) -> DriftReport:
    unknown = next((each.unknown for each in lives if each.unknown), None)
    return DriftReport(
        service="worker",
        kind="service",
        status="unknown" if unknown else lives[0].status,
        target=Target(ref="refs/heads/main", commit=TARGET, confirmed_at=NOW),
        live=lives,
        unknown=unknown,
        findings=tuple(Finding(code=code, message=code) for code in codes),
    )


# report → decision, severity, the reason codes worst first
TABLE: list[tuple[str, DriftReport, str, str | None, list[str]]] = [
    ("identical", report(live()), "allow", None, []),
    ("another commit, same content", report(live(commit=LIVE)), "allow", None, ["content-identical"]),
    ("one behind", report(live(1, age=60)), "warn", "info", ["behind-within-limit"]),
    ("two behind", report(live(2, age=60)), "warn", "info", ["behind-within-limit"]),
    ("three behind", report(live(3, age=60)), "warn", "warning", ["behind-within-limit"]),
    ("four behind", report(live(4, age=60)), "deny", "warning", ["too-many-commits-behind"]),
    ("six behind", report(live(6, age=60)), "deny", "critical", ["too-many-commits-behind"]),
    ("one, for six hours", report(live(1, age=6 * HOUR)), "warn", "warning", ["behind-within-limit"]),
    ("one, for twelve hours", report(live(1, age=12 * HOUR)), "warn", "warning", ["behind-within-limit"]),
    ("one, for longer", report(live(1, age=12 * HOUR + 1)), "deny", "critical", ["drift-too-old"]),
    (
        "many, for long",
        report(live(7, age=20 * HOUR)),
        "deny",
        "critical",
        ["too-many-commits-behind", "drift-too-old"],
    ),
    ("ahead", report(live(0, 2)), "warn", "info", ["ahead"]),
    ("diverged", report(live(1, 2, age=60)), "warn", "info", ["behind-within-limit", "diverged"]),
    ("a merge dropped one side", report(live(differs=True)), "deny", "critical", ["content-differs"]),
    ("not readable", report(unread()), "deny", "critical", ["unknown-drift"]),
    (
        "one of two not readable, the other stale",
        report(live(5, age=60), unread()),
        "deny",
        "critical",
        ["unknown-drift", "too-many-commits-behind"],
    ),
    (
        "failed rollout, nothing missing",
        report(live(), codes=("rollout-failed",)),
        "warn",
        None,
        ["rollout-failed"],
    ),
    (
        "failed rollout, something missing",
        report(live(1, age=60), codes=("rollout-failed",)),
        "deny",
        "warning",
        ["rollout-failed", "behind-within-limit"],
    ),
    ("pinned, nothing missing", report(live(), codes=("traffic-pinned",)), "warn", None, ["traffic-pinned"]),
    (
        "pinned, something missing",
        report(live(2, age=60), codes=("traffic-pinned",)),
        "deny",
        "warning",
        ["traffic-pinned", "behind-within-limit"],
    ),
    (
        "dirty, otherwise identical",
        report(live(), codes=("dirty-build",)),
        "deny",
        "warning",
        ["dirty-build"],
    ),
    (
        "split traffic",
        report(live(percent=50), live(percent=50), codes=("traffic-split",)),
        "warn",
        None,
        ["traffic-split"],
    ),
]


@pytest.mark.parametrize(
    ("facts", "decision", "severity", "codes"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE]
)
def test_the_built_in_policy(
    facts: DriftReport, decision: str, severity: str | None, codes: list[str]
) -> None:
    """Each row: what the built-in policy says of a report."""
    verdict = judge(facts, POLICY, NOW)
    assert (verdict.decision, verdict.severity) == (decision, severity)
    assert [reason.code for reason in verdict.reasons] == codes
    assert verdict.enforced


@pytest.mark.parametrize(
    "code", [code for code in REASONS if code not in {"rollout-failed", "traffic-pinned"}]
)
def test_each_code_decides_as_the_table_says(code: str) -> None:
    """A finding's decision is the one that is published for its code, no other."""
    verdict = judge(report(live(), codes=(code,)), POLICY, NOW)
    assert verdict.decision == REASONS[code].decision


@pytest.mark.parametrize(("code", "word"), [*product(["traffic-split", "dirty-build", "ahead"], DECISIONS)])
def test_a_policy_may_decide_on_a_code_itself(code: str, word: Any) -> None:
    """``[policy.reasons]`` replaces the default decision of a code."""
    assert judge(report(live(), codes=(code,)), Policy(reasons={code: word}), NOW).decision == word


def test_the_failure_policy_judges_the_unknown() -> None:
    """``ignore`` warns instead of denying; the unknown stays named, and critical."""
    verdict = judge(report(unread()), Policy(failure_policy="ignore"), NOW)
    assert (verdict.decision, verdict.severity) == ("warn", "critical")
    assert verdict.reasons[0].data["cause"] == "timeout"


def test_a_known_denial_holds_beside_an_ignored_unknown() -> None:
    """One revision that cannot be read does not excuse another that is known to be stale."""
    verdict = judge(report(live(5, age=60), unread()), Policy(failure_policy="ignore"), NOW)
    assert verdict.decision == "deny"
    assert not verdict.refuses_unknown


def test_soft_start_judges_and_refuses_nothing() -> None:
    """``enforcement = "warn"`` leaves the decision and says that it does not hold."""
    verdict = judge(report(live(9, age=60)), Policy(enforcement="warn"), NOW)
    assert (verdict.decision, verdict.enforced, verdict.not_enforced_because) == (
        "deny",
        False,
        "enforcement",
    )
    assert not verdict.refuses


def test_limits_are_the_policys() -> None:
    """Count and age limits come from the policy; without an age limit only the count grades."""
    assert judge(report(live(1, age=60)), Policy(max_commits_behind=0), NOW).decision == "deny"
    assert judge(report(live(2, age=99 * HOUR)), Policy(max_drift_age=None), NOW).decision == "warn"


@pytest.mark.parametrize(
    ("lives", "code"),
    [((live(),), 0), ((live(4, age=1),), 1), ((unread(),), 3), ((live(4, age=1), unread()), 1)],
)
def test_exit_codes_tell_drift_from_not_knowing(lives: tuple[LiveReport, ...], code: int) -> None:
    """1 for known drift, 3 where the only denial is that it could not be determined."""
    assert Outcome.of([judge(report(*lives), POLICY, NOW)], NOW, 1).exit_code == code


def test_the_worst_service_stands_for_the_whole() -> None:
    """An outcome is as bad as its worst service, in any order, and known drift beats an unknown."""
    verdicts = [judge(report(each), POLICY, NOW) for each in (live(), live(4, age=1), unread())]
    assert [Outcome.of(each, NOW, 1).decision for each in (verdicts, verdicts[::-1])] == ["deny", "deny"]
    assert Outcome.of(verdicts, NOW, 1).exit_code == 1


ages = st.integers(0, 100 * HOUR)
counts = st.integers(0, 50)


def loosest(verdict: Verdict) -> int:
    return DECISIONS.index(verdict.decision)


@given(counts, counts, ages, ages)
def test_more_commits_behind_never_relax_a_verdict(fewer: int, more: int, age: int, longer: int) -> None:
    """Whatever a report says, one commit or one hour more never makes the verdict milder."""
    fewer, more = sorted((fewer, fewer + more))
    age, longer = sorted((age, age + longer))
    assert loosest(judge(report(live(fewer, age=age)), POLICY, NOW)) <= loosest(
        judge(report(live(more, age=longer)), POLICY, NOW)
    )


@given(counts, counts, ages, st.sampled_from(["timeout", "permission-denied", "shallow-history"]))
def test_an_unknown_never_allows(behind: int, ahead: int, age: int, cause: str) -> None:
    """Under the built-in policy, a fact that becomes unknown denies."""
    assert judge(report(live(behind, ahead, age), unread(cause)), POLICY, NOW).decision == "deny"


@given(counts, counts, ages)
def test_critical_is_never_let_pass(behind: int, ahead: int, age: int) -> None:
    """What is graded critical for people is denied by the built-in policy; a denial is no mere info."""
    verdict = judge(report(live(behind, ahead, age)), POLICY, NOW)
    assert verdict.severity != "critical" or verdict.decision == "deny"
    assert verdict.decision != "deny" or verdict.severity in ("warning", "critical")


@given(counts, counts, ages, st.sets(st.sampled_from(sorted(REASONS))))
def test_a_bypass_changes_nothing_but_that_it_is_one(
    behind: int, ahead: int, age: int, codes: set[str]
) -> None:
    """Only ``enforced``, its reason and the event differ; the judgement stays the true one."""
    verdict = judge(report(live(behind, ahead, age), codes=tuple(codes)), POLICY, NOW)
    bypass = BreakGlass(actor="ann", reason=None, at=NOW, until=None, via="--skip-drift-check")
    after = verdict.bypassed(bypass)
    assert not after.refuses
    changed = {key for key in verdict.keys() if verdict[key] != after[key]}  # noqa: SIM118 (a fact's keys are no iteration)
    assert changed == {"enforced", "not_enforced_because", "break_glass"}
    assert after.break_glass is not None
    assert set(after.break_glass.overrode) == {r.code for r in verdict.reasons if r.decision == "deny"}


@given(st.permutations([live(), live(2, age=5), live(0, 3), live(6, age=9), live(differs=True)]))
def test_the_order_of_revisions_does_not_matter(lives: list[LiveReport]) -> None:
    """The decision, the grade and the set of reasons are the same whichever revision comes first."""
    base = judge(report(live(), live(2, age=5), live(0, 3), live(6, age=9), live(differs=True)), POLICY, NOW)
    other = judge(report(*lives), POLICY, NOW)
    assert (other.decision, other.severity) == (base.decision, base.severity)
    assert {each.code for each in other.reasons} == {each.code for each in base.reasons}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (30120, "8 h 22 min"),
        (3605, "1 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds: int, text: str) -> None:
    """At most two units, the largest first."""
    assert duration(seconds) == text
