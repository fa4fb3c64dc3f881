"""The checks over a source that answers by hand: what they ask, what they see, what the verdict is."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import pytest
from coordinator.readiness.histories import DAY, days_before
from support.limits import ENOUGH_S, in_time

from drift_gate.errors import CAUSES, SourceError
from drift_gate.policy.verdict import BreakGlass
from drift_gate.runtime.deadline import Deadline
from predictions.coordinator.exceptions import SlateError
from predictions.coordinator.readiness import runner
from predictions.coordinator.readiness.checks import FeaturesCheck, GradingCheck, MetricCheck
from predictions.coordinator.readiness.facts import ByHistory, Check, Fixed, Occasion, Threshold
from predictions.coordinator.readiness.grading import Counts
from predictions.coordinator.readiness.reasons import REASONS, UNJUDGED, UNKNOWN
from predictions.coordinator.readiness.seasons import Calendar
from predictions.coordinator.readiness.verdict import CheckVerdict, Policy, Readiness, judge

TODAY, PAST = "SELECT :day", "SELECT :first_day"
#: A threshold that is always kept: the share is only shown.
SHOWN = Fixed()
HISTORY = [40, 42, 44, 39, 41, 43, 45, 38, 42, 41, 40, 43]


@dataclass
class Answers:
    """A ``Source`` by hand: the answer to each query, or the error; keeps what it was asked."""

    today: Any
    past: Any = ()
    hangs: bool = False
    asked: list[tuple[str, dict[str, date]]] = field(default_factory=list)

    def rows(self, query: str, days: Mapping[str, date], deadline: Deadline) -> Sequence[Sequence[object]]:
        self.asked.append((query, dict(days)))
        if self.hangs:
            threading.Event().wait()
        answer = self.today if query == TODAY else self.past
        if isinstance(answer, Exception):
            raise answer
        found: Sequence[Sequence[object]] = answer
        return found


def occasion(players: Sequence[str] = ()) -> Occasion:
    return Occasion(game_date=DAY, players=lambda: players)


def a_metric(
    source: Answers,
    threshold: Threshold | None = None,
    *,
    name: str = "coverage",
    day: Literal["game-date", "day-before"] = "game-date",
    fails: Literal["deny", "warn"] = "deny",
) -> MetricCheck:
    threshold = threshold or ByHistory(days=30, direction="low")
    return MetricCheck(
        name=name,
        phases=frozenset({"pre-game"}),
        source=source,
        query=TODAY,
        day=day,
        fails=fails,
        unit="percent",
        threshold=threshold,
        history=PAST if isinstance(threshold, ByHistory) else None,
        calendar=Calendar(),
    )


def verdict_of(check: Check, players: Sequence[str] = (), policy: Policy | None = None) -> CheckVerdict:
    try:
        looked: Any = check.look(occasion(players), Deadline(60))
    except SourceError as error:
        looked = error
    return judge(check, looked, policy or Policy())


def codes(verdict: CheckVerdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


class TestMetric:
    def test_asks_for_the_day_and_for_the_days_before_it(self) -> None:
        source = Answers([(40,)], days_before(HISTORY))
        verdict = verdict_of(a_metric(source))
        today = {"game_date": DAY, "day": DAY}
        assert source.asked == [(TODAY, today), (PAST, {**today, "first_day": date(2026, 1, 6)})]
        assert (verdict.decision, codes(verdict)) == ("allow", [])

    def test_of_the_day_before_judges_that_day_and_the_days_before_it(self) -> None:
        source = Answers([(40,)], days_before(HISTORY, date(2026, 2, 4)))
        (seen,) = a_metric(source, day="day-before").look(occasion(), Deadline(60))
        assert source.asked[1][1] == {
            "game_date": DAY,
            "day": date(2026, 2, 4),
            "first_day": date(2026, 1, 5),
        }
        assert seen.history is not None
        assert seen.history.last_day == date(2026, 2, 3)

    def test_a_fixed_threshold_asks_for_no_history(self) -> None:
        source = Answers([(40,)])
        verdict = verdict_of(a_metric(source, Fixed(at_least=50)))
        assert [query for query, _ in source.asked] == [TODAY]
        assert codes(verdict) == ["too-low"]

    def test_a_low_value_denies_and_says_what_would_be_normal(self) -> None:
        verdict = verdict_of(a_metric(Answers([(5,)], days_before(HISTORY))))
        (reason,) = verdict.reasons
        assert (verdict.decision, reason.code) == ("deny", "abnormally-low")
        assert reason.message == "5.0 %, usually 41.5 %, normal from 33.7 %"
        assert reason.data["value"] == 5
        assert (verdict.measures[0].value, verdict.unknown) == (5, None)

    @pytest.mark.parametrize("which", ["today", "past"])
    def test_a_source_that_fails_is_unknown_with_its_cause_and_no_number(self, which: str) -> None:
        error = SourceError("the lake is closed", "unavailable", True)
        source = Answers([(40,)], days_before(HISTORY))
        setattr(source, which, error)
        verdict = verdict_of(a_metric(source))
        assert (verdict.decision, codes(verdict), verdict.measures) == ("deny", [UNKNOWN], ())
        assert verdict.unknown is not None
        assert verdict.unknown.cause == "unavailable"
        assert verdict.reasons[0].data == {"cause": "unavailable", "retryable": True}

    def test_rows_set_aside_from_the_history_are_named_beside_the_verdict(self) -> None:
        verdict = verdict_of(a_metric(Answers([(40,)], days_before([*HISTORY, -1, 300]))))
        assert (verdict.decision, codes(verdict)) == ("warn", ["days-set-aside"])
        assert "2026-02-03: -1 is negative; 2026-02-04: 300 is more than 100 %" in verdict.reasons[0].message


class TestPolicy:
    LOW = Answers([(5,)], days_before(HISTORY))
    FEW = Answers([(5,)], days_before(HISTORY[:3]))
    GONE = Answers(SourceError("gone", "not-found"))

    @pytest.mark.parametrize(
        ("source", "policy", "decision"),
        [
            (LOW, Policy(), "deny"),
            (LOW, Policy(reasons={"abnormally-low": "warn"}), "warn"),
            (LOW, Policy(reasons={"abnormally-low": "allow"}), "allow"),
            (FEW, Policy(), "warn"),
            (FEW, Policy(reasons={"too-few-days": "deny"}), "deny"),
            (GONE, Policy(), "deny"),
            (GONE, Policy(failure_policy="ignore"), "warn"),
            (GONE, Policy(failure_policy={"not-found": "ignore"}), "warn"),
            (GONE, Policy(failure_policy={"timeout": "ignore"}), "deny"),
            (GONE, Policy(failure_policy={"default": "ignore"}), "warn"),
            (GONE, Policy(failure_policy={"default": "ignore", "not-found": "fail"}), "deny"),
        ],
    )
    def test_decides_by_code_and_by_cause(self, source: Answers, policy: Policy, decision: str) -> None:
        assert verdict_of(a_metric(source), policy=policy).decision == decision

    @pytest.mark.parametrize("source", [LOW, GONE])
    def test_a_check_that_only_warns_denies_nothing(self, source: Answers) -> None:
        assert verdict_of(a_metric(source, fails="warn")).decision == "warn"

    @pytest.mark.parametrize("cause", CAUSES)
    def test_every_unknown_denies_unless_somebody_says_otherwise(self, cause: Any) -> None:
        assert verdict_of(a_metric(Answers(SourceError("x", cause)))).decision == "deny"


class TestFeatures:
    def check(self, ids: Sequence[object], at_least: float = 100) -> FeaturesCheck:
        return FeaturesCheck(
            name="features",
            phases=frozenset({"pre-game"}),
            source=Answers([(each,) for each in ids]),
            query=TODAY,
            day="game-date",
            fails="deny",
            at_least=at_least,
        )

    def test_everybody_has_some(self) -> None:
        verdict = verdict_of(self.check(["P1", "P2", "P9"]), ["P1", "P2"])
        assert (verdict.decision, codes(verdict)) == ("allow", [])
        assert (verdict.measures[0].value, verdict.measures[0].detail) == (100, "2 of 2")

    def test_who_has_none_is_named(self) -> None:
        verdict = verdict_of(self.check(["P1"]), ["P1", "P3", "P2"])
        assert codes(verdict) == ["too-low", "players-without-features"]
        assert verdict.reasons[0].message == "33.3 % (1 of 3), at least 100 %"
        assert verdict.reasons[1].message == "no features for P2, P3"

    def test_many_are_named_up_to_ten_and_all_are_kept(self) -> None:
        players = [f"P{number:02}" for number in range(14)]
        verdict = verdict_of(self.check([]), players)
        assert verdict.reasons[1].message.endswith("P09 and 4 more")
        assert verdict.reasons[1].data["players"] == players

    def test_a_few_may_be_missing_where_that_is_declared(self) -> None:
        players = [f"P{number}" for number in range(20)]
        assert verdict_of(self.check(players[1:], at_least=95), players).decision == "allow"

    def test_ids_that_are_numbers_there_are_the_same_ids(self) -> None:
        assert verdict_of(self.check([1, 2]), ["1", "2"]).decision == "allow"

    def test_nobody_on_the_slate_is_unknown_and_no_full_coverage(self) -> None:
        verdict = verdict_of(self.check(["P1"]), [])
        assert verdict.unknown is not None
        assert verdict.unknown.cause == "not-found"


class TestGrading:
    """The share of the predictions and the share of the players, and what lies between."""

    def check(
        self,
        today: object,
        past: object = (),
        *,
        predictions: Threshold = SHOWN,
        players: Threshold = SHOWN,
    ) -> GradingCheck:
        return GradingCheck(
            name="grading",
            phases=frozenset({"pre-game"}),
            source=Answers(today, past),
            query=TODAY,
            day="day-before",
            fails="deny",
            of_predictions=predictions,
            of_players=players,
            history=PAST,
            calendar=Calendar(),
        )

    @pytest.mark.parametrize(
        ("counts", "shares", "code", "said"),
        [
            ((273, 210, 199, 195), (71.4, 92.9), "definitions-differ",
             "74 predicted and did not play, 11 played without a prediction, 4 could be graded and are not"),
            ((200, 150, 150, 150), (75.0, 100.0), "definitions-differ", "50 predicted and did not play"),
            ((150, 200, 150, 150), (100.0, 75.0), "definitions-differ", "50 played without a prediction"),
            ((0, 0, 0, 0), (None, None), "nothing-to-grade", "no predictions, and nobody played"),
            ((273, 0, 0, 0), (0.0, None), "nobody-played", "273 predicted, and nobody played"),
            ((0, 210, 0, 0), (None, 0.0), "nobody-predicted", "210 played, and nobody was predicted"),
        ],
    )  # fmt: skip
    def test_both_shares_and_what_makes_them_differ(
        self,
        counts: tuple[int, ...],
        shares: tuple[float | None, float | None],
        code: str,
        said: str,
    ) -> None:
        verdict = verdict_of(self.check([counts]))
        rounded = [None if each.value is None else round(each.value, 1) for each in verdict.measures]
        assert tuple(rounded) == shares
        assert [(each.code, each.message) for each in verdict.reasons] == [(code, said)]
        assert verdict.decision == REASONS[code].decision

    def test_equal_shares_need_no_account(self) -> None:
        assert codes(verdict_of(self.check([(200, 200, 200, 180)]))) == []

    def test_the_groups_of_the_account_add_up_to_what_is_not_graded(self) -> None:
        """Each prediction and each player is graded, or in exactly one group of its definition."""
        counts = Counts(predicted=273, played=210, both=199, graded=195)
        (reason,) = verdict_of(self.check([(273, 210, 199, 195)])).reasons
        data = reason.data
        assert counts.graded + data["did_not_play"] + data["not_graded"] == counts.predicted
        assert counts.graded + data["not_predicted"] + data["not_graded"] == counts.played

    def test_each_share_has_its_own_threshold(self) -> None:
        low = [(200, 150, 150, 100)]
        both = self.check(low, predictions=Fixed(at_least=60), players=Fixed(at_least=60))
        (reason, _) = verdict_of(both).reasons
        assert (reason.code, reason.message) == (
            "too-low",
            "graded predictions: 50.0 % (100 of 200), at least 60.0 %",
        )

    def test_each_share_has_its_own_history(self) -> None:
        """Half as many predictions as players in the past: 200 of 100 can never be, 50 % of players is."""
        past = [(day, 100, 200, 100, 100) for day, _ in days_before([0] * 12, date(2026, 2, 4))]
        by_history = ByHistory(days=30, direction="low")
        check = self.check([(100, 200, 100, 96)], past, predictions=by_history, players=by_history)
        first, second = check.look(occasion(), Deadline(60))
        assert first.history is not None
        assert second.history is not None
        assert (set(first.history.values), set(second.history.values)) == ({100.0}, {50.0})

    @pytest.mark.parametrize(
        "row",
        [(100, 100, 101, 90), (100, 90, 95, 90), (100, 100, 90, 91), (100, 100, 90, -1), (1.5, 1, 1, 1),
         (100, 100, None, 90), ("x", 1, 1, 1)],
    )  # fmt: skip
    def test_counts_that_cannot_be_are_unknown(self, row: tuple[object, ...]) -> None:
        verdict = verdict_of(self.check([row]))
        assert (codes(verdict), verdict.measures) == ([UNKNOWN], ())

    def test_counts_of_the_past_that_cannot_be_are_set_aside(self) -> None:
        past = [(day, 100, 100, 100, 90) for day, _ in days_before([0] * 12, date(2026, 2, 4))]
        past[3] = (past[3][0], 1, 100, 100, 90)
        check = self.check([(100, 100, 100, 90)], past, players=ByHistory(days=30, direction="low"))
        assert codes(verdict_of(check)) == ["days-set-aside"]


def plan(*checks: Check, policy: Policy | None = None, deadline: float = ENOUGH_S) -> runner.Plan:
    return runner.Plan(phase="pre-game", checks=checks, policy=policy or Policy(), deadline=deadline)


class TestAll:
    def run(self, *checks: Check, policy: Policy | None = None, deadline: float = 10) -> Readiness:
        return runner.check(plan(*checks, policy=policy, deadline=deadline), occasion(["P1"]))

    GOOD = a_metric(Answers([(40,)], days_before(HISTORY)), name="good")
    LOW = a_metric(Answers([(5,)], days_before(HISTORY)), name="low")
    FEW = a_metric(Answers([(40,)], []), name="few")
    GONE = a_metric(Answers(SourceError("gone", "not-found")), name="gone")

    @pytest.mark.parametrize(
        ("checks", "decision", "code"),
        [
            ([GOOD], "allow", 0),
            ([GOOD, FEW], "warn", 0),
            ([GOOD, LOW], "deny", 1),
            ([GOOD, GONE], "deny", 3),
            ([LOW, GONE], "deny", 1),
        ],
    )
    def test_the_worst_check_decides_and_the_exit_code_tells_bad_from_unknown(
        self, checks: list[Check], decision: str, code: int
    ) -> None:
        told = self.run(*checks)
        assert (told.decision, told.exit_code) == (decision, code)
        assert [each.name for each in told.checks] == [check.name for check in checks]

    def test_too_few_days_refuse_as_an_unknown_where_they_deny(self) -> None:
        assert self.run(self.FEW, policy=Policy(reasons={"too-few-days": "deny"})).exit_code == 3

    def test_a_policy_that_only_warns_judges_as_ever_and_refuses_nothing(self) -> None:
        told = self.run(self.LOW, policy=Policy(enforcement="warn"))
        assert (told.decision, told.enforced, told.not_enforced_because) == ("deny", False, "enforcement")
        assert (told.refuses, told.exit_code) == (False, 0)

    def test_all_checks_end_at_one_deadline_and_the_quick_ones_are_heard(self) -> None:
        slow = a_metric(Answers([(40,)], hangs=True), name="slow")
        slow_too = a_metric(Answers([(1,)], hangs=True), name="z")
        told = in_time(
            lambda seconds: self.run(slow, self.GOOD, slow_too, deadline=seconds),
            late=lambda told: told.checks[1].decision != "allow",
        )
        assert [each.decision for each in told.checks] == ["deny", "allow", "deny"]
        assert [each.unknown.cause if each.unknown else None for each in told.checks] == [
            "timeout",
            None,
            "timeout",
        ]
        assert slow_too.name == told.checks[2].name

    def test_whoever_has_less_time_than_the_plan_ends_it_earlier(self) -> None:
        slow = a_metric(Answers([(40,)], hangs=True), name="slow")
        told = in_time(
            lambda seconds: runner.check(plan(slow, self.GOOD), occasion(), Deadline(seconds)),
            late=lambda told: told.checks[1].decision != "allow",
        )
        assert [each.decision for each in told.checks] == ["deny", "allow"]

    def test_an_error_that_nobody_thought_of_is_raised(self) -> None:
        with pytest.raises(ZeroDivisionError):
            self.run(self.GOOD, a_metric(Answers(ZeroDivisionError()), name="broken"))

    def test_a_slate_that_cannot_be_read_is_an_error_of_its_own(self) -> None:
        def players() -> list[str]:
            raise SlateError("no slate")

        check = TestFeatures().check(["P1"])
        with pytest.raises(SlateError):
            runner.check(plan(check), Occasion(game_date=DAY, players=players))

    def test_a_bypass_changes_whether_it_holds_and_nothing_else(self) -> None:
        told = self.run(self.LOW, self.GONE)
        glass = BreakGlass(actor="ops", reason="tip-off", at=told.checked_at, until=None, via="--skip")
        bypassed = told.bypassed(glass)
        assert (bypassed.decision, bypassed.enforced, bypassed.refuses) == ("deny", False, False)
        assert bypassed.break_glass is not None
        assert bypassed.break_glass.overrode == ("abnormally-low", UNKNOWN)
        same = {"enforced": True, "not_enforced_because": None, "break_glass": None}
        assert bypassed.model_copy(update=same) == told


def test_every_code_that_is_raised_is_in_the_table_and_the_unjudged_ones_too() -> None:
    assert {"too-low", "too-high", "abnormally-low", "abnormally-high", *UNJUDGED} <= set(REASONS)
    assert all(meaning.when and meaning.todo for meaning in REASONS.values())
