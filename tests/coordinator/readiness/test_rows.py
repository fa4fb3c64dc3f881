"""What a source answered: numbers, days, and what is none of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from coordinator.readiness.histories import DAY, days_before
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.errors import SourceError
from predictions.coordinator.readiness import rows
from predictions.coordinator.readiness.facts import DayValue, History, Unit
from predictions.coordinator.readiness.seasons import Break, Calendar

WINDOW = Calendar().window(DAY, 10)


def history(found: rows.Rows, unit: Unit = "percent") -> History:
    return rows.history(found, WINDOW, 1, lambda cells: rows.number(cells[0], unit), "coverage")


class TestOneValue:
    @pytest.mark.parametrize(
        ("cell", "unit", "value"),
        [
            (38.8, "percent", 38.8),
            (Decimal("38.80"), "percent", 38.8),
            (100, "percent", 100),
            (100.0000000001, "percent", 100),
            (0, "count", 0),
            (273.0, "count", 273),
            (12.5, "number", 12.5),
        ],
    )
    def test_is_a_number_of_its_unit(self, cell: object, unit: Unit, value: float) -> None:
        assert rows.value([(cell,)], unit, "coverage") == value

    @pytest.mark.parametrize(
        ("cell", "unit", "said"),
        [
            (float("nan"), "percent", "nan is no finite number"),
            (float("inf"), "number", "inf is no finite number"),
            (Decimal("NaN"), "number", "nan is no finite number"),
            (-0.1, "percent", "-0.1 is negative"),
            (-3, "count", "-3 is negative"),
            (100.1, "percent", "100.1 is more than 100 %"),
            (2.5, "count", "2.5 is no whole number"),
            ("38.8", "percent", "'38.8' is no number"),
            (True, "count", "True is no number"),
            (b"1", "count", "b'1' is no number"),
            (10**400, "number", "the number is too large"),
        ],
    )
    def test_that_cannot_be_is_an_invalid_response(self, cell: object, unit: Unit, said: str) -> None:
        with pytest.raises(SourceError, match="coverage: ") as caught:
            rows.value([(cell,)], unit, "coverage")
        assert caught.value.cause == "invalid-response"
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("found", "cause", "said"),
        [
            ([], "not-found", "found no row"),
            ([(None,)], "not-found", "found no value (NULL)"),
            ([(1,), (2,)], "invalid-response", "2 rows instead of one"),
            ([(1, 2)], "invalid-response", "must give 1 column, it gave 2"),
            ([()], "invalid-response", "must give 1 column, it gave 0"),
        ],
    )
    def test_that_is_not_there_is_never_a_zero(self, found: rows.Rows, cause: str, said: str) -> None:
        with pytest.raises(SourceError) as caught:
            rows.value(found, "count", "coverage")
        assert (caught.value.cause, caught.value.retryable) == (cause, False)
        assert said in str(caught.value)


class TestHistory:
    def test_days_come_in_order_and_missing_ones_are_counted(self) -> None:
        found = [
            (date(2026, 2, 3), 40),
            ("2026-02-01 09:00", 41.5),
            (datetime(2026, 2, 2), Decimal(39)),
        ]
        told = history(found)
        assert told.days == (
            DayValue(date(2026, 2, 1), 41.5),
            DayValue(date(2026, 2, 2), 39),
            DayValue(date(2026, 2, 3), 40),
        )
        assert (told.first_day, told.last_day, told.missing) == (date(2026, 1, 26), date(2026, 2, 4), 7)

    def test_the_judged_day_and_what_is_beyond_the_window_do_not_count(self) -> None:
        """Today never says what is normal today."""
        told = history([(DAY, 1), (date(2026, 2, 6), 1), (date(2026, 1, 25), 1), (date(2026, 1, 26), 40)])
        assert told.days == (DayValue(date(2026, 1, 26), 40),)

    def test_a_day_without_a_value_is_missing_and_no_zero(self) -> None:
        told = history(days_before([40, None, 42]))
        assert told.values == [40, 42]
        assert (told.missing, told.set_aside) == (8, ())

    def test_a_value_that_cannot_be_is_set_aside_and_named(self) -> None:
        told = history(days_before([40, float("nan"), -1, 101, 42]))
        assert told.values == [40, 42]
        assert told.missing == 8
        assert told.set_aside == (
            "2026-02-01: nan is no finite number",
            "2026-02-02: -1 is negative",
            "2026-02-03: 101 is more than 100 %",
        )

    @pytest.mark.parametrize(
        ("found", "said"),
        [
            ([("2026-02-03", 1), (date(2026, 2, 3), 2)], "the history has 2026-02-03 twice"),
            ([("2026-02-03",)], "must give 2 columns, it gave 1"),
            ([(1, 2, 3)], "must give 2 columns, it gave 3"),
            ([("yesterday", 1)], "first column must be a date, 'yesterday' is none"),
            ([(None, 1)], "first column must be a date, None is none"),
            ([(20260203.5, 1)], "must be a date"),
            ([("2026-02-30", 1)], "must be a date"),
            ([("2026-02-033", 1)], "must be a date"),
        ],
    )
    def test_rows_that_are_no_history_are_an_invalid_response(self, found: rows.Rows, said: str) -> None:
        with pytest.raises(SourceError) as caught:
            history(found)
        assert caught.value.cause == "invalid-response"
        assert said in str(caught.value)

    @given(st.lists(st.one_of(st.none(), st.floats(), st.integers(), st.text(), st.booleans()), max_size=10))
    def test_whatever_a_cell_is_each_day_is_used_missing_or_set_aside(self, cells: list[object]) -> None:
        told = history([(day, cell) for (day, _), cell in zip(days_before([0] * 10), cells, strict=False)])
        assert len(told.days) + told.missing == 10
        assert len(told.set_aside) <= told.missing
        assert all(0 <= value <= 100 for value in told.values)


class TestNames:
    def test_are_text_and_each_is_there_once(self) -> None:
        assert rows.names([("P1",), ("P1",), (2,)], "features") == {"P1", "2"}

    @pytest.mark.parametrize("found", [[(None,)], [("P1", "P2")]])
    def test_a_row_that_is_no_name_is_an_invalid_response(self, found: rows.Rows) -> None:
        with pytest.raises(SourceError) as caught:
            rows.names(found, "features")
        assert caught.value.cause == "invalid-response"


class TestCalendar:
    @pytest.mark.parametrize(
        ("calendar", "first", "days"),
        [
            (Calendar(), date(2026, 1, 26), 10),
            (Calendar(season_starts=(date(2026, 2, 1),)), date(2026, 2, 1), 4),
            (Calendar(season_starts=(date(2026, 2, 1), date(2025, 1, 1))), date(2026, 2, 1), 4),
            (Calendar(season_starts=(DAY,)), DAY, 0),
            (Calendar(season_starts=(date(2026, 2, 6),)), date(2026, 1, 26), 10),
            (Calendar(breaks=(Break(first=date(2026, 1, 30), last=date(2026, 2, 1)),)), date(2026, 1, 26), 7),
            (Calendar(breaks=(Break(first=date(2026, 1, 1), last=date(2026, 1, 26)),)), date(2026, 1, 26), 9),
        ],
    )
    def test_a_window_ends_the_day_before_and_has_neither_another_season_nor_a_break(
        self, calendar: Calendar, first: date, days: int
    ) -> None:
        window = calendar.window(DAY, 10)
        assert (window.first, window.last, len(window.days)) == (first, date(2026, 2, 4), days)

    def test_a_break_ends_after_it_begins(self) -> None:
        with pytest.raises(ValueError, match="before it begins"):
            Break(first=DAY, last=date(2026, 2, 4))
