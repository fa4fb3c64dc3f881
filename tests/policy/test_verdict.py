"""The policy's judgement: tables of reports with the verdict that is right."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reports import HOUR, LIVE, NOW, POLICY, live, report, unread

from drift_gate.comparison.report import DriftReport, LiveReport
from drift_gate.policy.codes import DECISIONS, REASONS, Decision
from drift_gate.policy.verdict import BreakGlass, Outcome, Policy, Verdict, duration, judge

#: A relevant file that differs though no commit accounts for it.
DROPPED = ("worker/a.py",)

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
    ("a merge dropped one side", report(live(dropped=DROPPED)), "deny", "critical", ["content-differs"]),
    (
        "a merge dropped one side, and one behind",
        report(live(1, age=60, dropped=DROPPED)),
        "deny",
        "critical",
        ["content-differs", "behind-within-limit"],
    ),
    (
        "a merge dropped one side, and one ahead",
        report(live(0, 1, dropped=DROPPED)),
        "deny",
        "critical",
        ["content-differs", "ahead"],
    ),
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


@given(st.permutations([live(), live(2, age=5), live(0, 3), live(6, age=9), live(dropped=DROPPED)]))
def test_the_order_of_revisions_does_not_matter(lives: list[LiveReport]) -> None:
    """The decision, the grade and the set of reasons are the same whichever revision comes first."""
    base = judge(
        report(live(), live(2, age=5), live(0, 3), live(6, age=9), live(dropped=DROPPED)), POLICY, NOW
    )
    other = judge(report(*lives), POLICY, NOW)
    assert (other.decision, other.severity) == (base.decision, base.severity)
    assert {each.code for each in other.reasons} == {each.code for each in base.reasons}


@pytest.mark.parametrize(
    ("age", "limit", "code"),
    [
        (60, 60, "behind-within-limit"),
        (61, 60, "drift-too-old"),
        (1, 0, "drift-too-old"),
        (0, 0, "behind-within-limit"),
        (None, 0, "behind-within-limit"),
    ],
)
def test_the_age_limit_is_the_last_second_that_is_allowed(age: int | None, limit: int, code: str) -> None:
    """What nothing dates is not too old."""
    verdict = judge(report(live(1, age=age)), Policy(max_drift_age=limit), NOW)
    assert [each.code for each in verdict.reasons] == [code]


@pytest.mark.parametrize("young", [1, 2, 3])
def test_the_grace_period_wins_over_both_limits(young: int) -> None:
    """Only what is older counts; where nothing is, no age is too old."""
    facts = report(live(3, age=99 * HOUR, commits_within_grace=young))
    verdict = judge(facts, Policy(max_commits_behind=0, grace_period=100 * HOUR), NOW)
    older = [] if young == 3 else ["too-many-commits-behind", "drift-too-old"]
    assert [each.code for each in verdict.reasons if each.decision == "deny"] == older
    assert verdict.reasons[-1].code == "within-grace"


def test_a_bypass_names_itself() -> None:
    """In the word that the JSON publishes, with the codes that it overrode."""
    bypass = BreakGlass(actor="ann", reason="fix", at=NOW, until=None, via="--skip-drift-check")
    verdict = judge(report(live(9, 1, age=1)), POLICY, NOW).bypassed(bypass)
    assert (verdict.enforced, verdict.not_enforced_because) == (False, "break-glass")
    assert verdict.break_glass == bypass.model_copy(update={"overrode": ("too-many-commits-behind",)})


@pytest.mark.parametrize("order", [*permutations(DECISIONS)])
def test_the_worst_decision_is_the_outcomes(order: tuple[Decision, ...]) -> None:
    """Deny over warn over allow, wherever it stands."""
    facts = {"allow": report(live()), "warn": report(live(1, age=1)), "deny": report(live(9, age=1))}
    for count in (1, 2, 3):
        verdicts = [judge(facts[word], POLICY, NOW) for word in order[:count]]
        outcome = Outcome.of(verdicts, NOW, 7)
        assert outcome.decision == max(order[:count], key=DECISIONS.index)
        assert (outcome.services, outcome.checked_at, outcome.elapsed_ms) == (tuple(verdicts), NOW, 7)


def test_without_a_target_no_commit_is_the_targets() -> None:
    """A live commit is then another one, whatever it is."""
    facts = report(live()).model_copy(update={"target": None})
    assert [each.code for each in judge(facts, POLICY, NOW).reasons] == ["content-identical"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (30120, "8 h 22 min"),
        (3605, "1 h"),
        (59, "59 s"),
        (60, "1 min"),
        (90_060, "1 d 1 h"),
        (86_460, "1 d 1 min"),
        (0.9, "0 s"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds: int, text: str) -> None:
    """At most two units, the largest first."""
    assert duration(seconds) == text
