"""What a person sees: the line of blocks, the gauge, the table on wide and narrow terminals."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import pytest
from coordinator.readiness.histories import DAY, a_history, days_before
from coordinator.readiness.test_checks import Answers, a_metric, plan
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from drift_gate.errors import Cause, SourceError
from drift_gate.policy.verdict import BreakGlass
from predictions.coordinator.readiness import render, runner
from predictions.coordinator.readiness.facts import ByHistory, Occasion
from predictions.coordinator.readiness.sparkline import (
    ASCII,
    GAUGE,
    MOST_DAYS,
    UNICODE,
    gauge,
    glyphs,
    line,
    vars_of,
)
from predictions.coordinator.readiness.thresholds import bounds
from predictions.coordinator.readiness.verdict import Readiness

NOW = datetime(2026, 2, 5, 16, 0, tzinfo=UTC)

HISTORY = [40, 42, 44, 39, None, 43, 45, 38, 42, 41, 40, 43, 37, 49.5]


def by_history(direction: Literal["low", "high", "both"] = "both") -> ByHistory:
    return ByHistory(days=90, direction=direction, least_days=3)


class TestTheLine:
    @pytest.mark.parametrize(
        ("values", "today", "drawn"),
        [
            ([1, 2, 3, 4, 5, 6, 7], 8, ("▁▂▃▄▅▆▇", "█")),
            ([8, 7, 6, 5, 4, 3, 2], 1, ("█▇▆▅▄▃▂", "▁")),
            ([1, None, 8], 8, ("▁·█", "█")),
            ([None, None, 1, 8], None, ("▁█", "")),
            ([5, 5, 5], 5, ("▄▄▄", "▄")),
            ([], 5, ("", "")),
        ],
    )
    def test_is_one_block_a_day_and_today_on_the_same_scale(
        self, values: Sequence[float | None], today: float | None, drawn: tuple[str, str]
    ) -> None:
        assert line(a_history(values, by_history()), today, UNICODE) == drawn

    def test_of_a_long_history_shows_its_end_and_says_so(self) -> None:
        past, _ = line(a_history([1.0] * 80, by_history()), 1, UNICODE)
        assert (len(past), past[0]) == (MOST_DAYS + 1, "…")

    def test_is_ascii_where_the_encoding_has_no_blocks(self) -> None:
        assert line(a_history([1, None, 8], by_history()), 8, ASCII) == ("_ #", "#")

    @pytest.mark.parametrize(
        ("encoding", "expected"),
        [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("no-such", ASCII)],
    )
    def test_is_drawn_with_what_the_encoding_has(self, encoding: str | None, expected: object) -> None:
        assert glyphs(encoding) is expected

    def test_has_as_many_levels_either_way_and_no_character_twice_in_a_gauge(self) -> None:
        for each in (UNICODE, ASCII):
            assert len(set(each.blocks.levels)) == 8
            signs = [each.normal, each.middle, each.low, each.high, each.today]
            assert len(set(signs)) == len(signs)
            assert all(len(sign) == 1 for sign in vars_of(each)[1:])


class TestTheGauge:
    @pytest.mark.parametrize(
        ("today", "direction", "drawn"),
        [
            (50, "both", "├─────────●─────────┤"),
            (40, "both", "├───●─────┼─────────┤"),
            (100, "both", "├────┼─────┤········●"),
            (0, "both", "●········├─────┼────┤"),
            (0, "low", "●············├──────┼"),
            (100, "high", "┼──────┤············●"),
            (31.8, "both", "●├────────┼─────────┤"),
            (68.2, "both", "├─────────┼────────┤●"),
        ],
    )
    def test_shows_the_fences_the_median_and_today(
        self, today: float, direction: Literal["low", "high", "both"], drawn: str
    ) -> None:
        threshold = by_history(direction)
        history = a_history([46.5, 50, 53.5], threshold)
        normal = bounds(threshold, history)
        assert normal is not None
        assert gauge(today, normal, [50], UNICODE) == drawn

    @given(
        st.lists(st.floats(0, 100), min_size=3, max_size=40),
        st.floats(0, 100),
        st.sampled_from(["low", "high", "both"]),
    )
    @example([20.0, 20.0, 41.0, 19.75], 3.0, "both")  # two fences on one cell
    @example([20.0, 20.0, 3.0, 20.25], 41.0, "both")
    def test_never_shows_a_value_on_the_wrong_side_of_a_fence(
        self, values: list[float], today: float, direction: Literal["low", "high", "both"]
    ) -> None:
        threshold = by_history(direction)
        normal = bounds(threshold, a_history(values, threshold))
        if normal is None:
            return
        drawn = gauge(today, normal, values, UNICODE)
        assert (len(drawn), drawn.count("●")) == (GAUGE, 1)
        before, after = drawn.split("●")
        if normal.below(today):
            assert "├" in after
        if normal.above(today):
            assert "┤" in before


def judged(*, today: float = 41) -> Readiness:
    good = a_metric(Answers([(today,)], days_before(HISTORY)), name="coverage")
    gone = a_metric(Answers(SourceError("gone \x1b[2J", "not-found")), name="cache")
    few = a_metric(Answers([(41,)], []), name="few")
    return runner.check(plan(good, gone, few), Occasion(game_date=DAY, players=list))


def drawn(readiness: Readiness, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(render.table(readiness, UNICODE))
    assert isinstance(console.file, io.StringIO)
    return [each.rstrip() for each in console.file.getvalue().splitlines()]


class TestTheTable:
    def test_of_a_wide_terminal_has_a_line_for_each_number(self) -> None:
        told = drawn(judged(), 160)
        (coverage,) = [each for each in told if each.startswith("coverage")]
        for part in ("allow", "41.0 %", "▃▄▅▂·▄▅▂▄▃▃▄▁█ ▃", "├", "●", "usually 42.0 %, normal from"):
            assert part in coverage

    @pytest.mark.parametrize("width", [60, 80, 100, 120])
    def test_of_a_narrow_terminal_loses_nothing(self, width: int) -> None:
        told = " ".join(" ".join(drawn(judged(), width)).split())
        for part in (
            "41.0 %",
            "▃▄▅▂·▄▅▂▄▃▃▄▁█ ▃",
            "usually 42.0 %, normal from",
            "unknown",
            "nobody can say yet",
        ):
            assert part in told

    def test_says_that_a_check_is_unknown_and_shows_no_number_for_it(self) -> None:
        (cache,) = [each for each in drawn(judged(), 160) if each.startswith("cache")]
        assert cache.split() == ["cache", "deny", "unknown"]

    def test_lets_no_source_steer_the_terminal(self) -> None:
        assert not any("\x1b" in each for each in drawn(judged(), 160))
        assert "\x1b" not in render.refusal(judged())

    def test_shows_a_bypass_with_who_and_why(self) -> None:
        glass = BreakGlass(actor="ops", reason="tip-off", at=NOW, until=None, via="--skip-readiness-checks")
        told = drawn(judged().bypassed(glass), 160)
        assert told[0] == "readiness for 2026-02-05, pre-game  DENY (not enforced: break-glass)"
        assert "--skip-readiness-checks by ops: tip-off" in "\n".join(told)

    def test_colours_a_value_by_whether_it_is_normal(self) -> None:
        """Green inside of the bounds, red outside, also where another reason decides."""
        for today, colour in ((41, "\x1b[32m●"), (5, "\x1b[1;31m●")):
            console = Console(file=io.StringIO(), width=160, force_terminal=True, color_system="standard")
            console.print(render.table(judged(today=today), UNICODE))
            assert isinstance(console.file, io.StringIO)
            assert colour in console.file.getvalue()


class TestTheRefusal:
    @pytest.mark.parametrize(
        ("cause", "todo"),
        [("rate-limited", "try again in a minute"), ("not-found", "repair the source or the query")],
    )
    def test_says_how_an_unknown_may_be_cured(self, cause: Cause, todo: str) -> None:
        gone = a_metric(Answers(SourceError("gone", cause)), name="cache")
        readiness = runner.check(plan(gone), Occasion(game_date=DAY, players=list))
        assert f"cure    cache: {todo}" in render.refusal(readiness)


class TestJson:
    def test_has_every_field_of_the_verdict_and_steers_nothing(self) -> None:
        text = render.json(judged())
        assert "\x1b" not in text
        told = json.loads(text)
        assert [*told] == [*Readiness.model_fields]
        assert told == judged().model_dump(mode="json") | {
            "checked_at": told["checked_at"],
            "elapsed_ms": told["elapsed_ms"],
        }

    def test_has_a_day_and_its_value_for_each_day_of_the_history(self) -> None:
        (measure,) = json.loads(render.json(judged()))["checks"][0]["measures"]
        assert measure["history"]["days"][0] == ["2026-01-22", 40]
        assert (len(measure["history"]["days"]), measure["history"]["missing"]) == (13, 17)
