"""The slate: what is read, what is set aside and why, and what is no slate at all."""

from __future__ import annotations

import runpy
from datetime import date
from pathlib import Path

import pytest
from coordinator.worlds import HEADER
from hypothesis import given
from hypothesis import strategies as st

from predictions import coordinator
from predictions.coordinator.exceptions import EmptySlateError, SlateError
from predictions.coordinator.slate import read_slate, shipped_slates

DAY = date(2026, 2, 5)
GOOD = "G1,2026-02-05,P1,Player One,T1,T2,10 20 30"


def write(folder: Path, *lines: str) -> Path:
    file = folder / "slate.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


class TestTheShippedSlate:
    def test_it_has_8_games_and_273_players_and_every_row_is_used(self) -> None:
        slate = read_slate(DAY)
        assert (slate.games, len(slate.requests), slate.set_aside) == (8, 273, ())

    def test_it_says_in_its_own_header_that_it_is_synthetic(self) -> None:
        folder = Path(str(coordinator.__file__)).parent / "slates"
        assert (folder / "2026-02-05.csv").read_text(encoding="utf-8").startswith("# SYNTHETIC DATA.")

    def test_it_is_what_the_committed_script_writes(self) -> None:
        made = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "make_slate.py"))
        assert made["SLATE"].read_text(encoding="utf-8") == made["slate_text"]()

    def test_another_date_is_an_error_that_says_which_dates_there_are(self) -> None:
        assert shipped_slates() == ("2026-02-05",)
        with pytest.raises(
            SlateError, match=r"for 2026-02-06 \(only for 2026-02-05\); name one with --slate"
        ):
            read_slate(date(2026, 2, 6))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("G1,2026-02-05,P2,Two,T1,T2", "6 values for 7 columns"),
        ("G1,2026-02-05,P2,Two,T1,T2,1 2,3", "8 values for 7 columns"),
        ("G1,2026-02-05,,Two,T1,T2,1", "player_id is empty"),
        ("G1,2026-02-05,P2,Two,T1,T2,", "recent_points is empty"),
        ("G1,2026-02-04,P2,Two,T1,T2,1", "game_date is '2026-02-04', not 2026-02-05"),
        ("G1,2026-02-05,P2,Two,T1,T2,1 ten", "recent_points holds 'ten', which is no number"),
        ("G1,2026-02-05,P2,Two,T1,T2,1 -2", "recent_points holds -2, which is not between 0 and 200"),
        ("G1,2026-02-05,P2,Two,T1,T2,1 nan", "recent_points holds nan, which is not between 0 and 200"),
        ("G1,2026-02-05,P2,Two,T1,T2,1e9", "recent_points holds 1e9, which is not between 0 and 200"),
        ("G9,2026-02-05,P1,One,T1,T2,1", "the player is on the slate already, in game G1"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_reason(tmp_path: Path, row: str, reason: str) -> None:
    slate = read_slate(DAY, write(tmp_path, "# header", HEADER, GOOD, row))
    assert [request.player_id for request in slate.requests] == ["P1"]
    assert [(each.where, each.reason) for each in slate.set_aside] == [("line 4", reason)]


def test_a_row_that_is_set_aside_prints_as_one_sentence(tmp_path: Path) -> None:
    slate = read_slate(DAY, write(tmp_path, HEADER, GOOD, "G1,2026-02-05,,,T1,T2,1"))
    assert str(slate.set_aside[0]) == "line 3 (no player): player_id is empty"


def test_quoted_names_empty_lines_and_a_byte_order_mark_are_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "slate.csv"
    row = 'G1,2026-02-05,P1,"Öner, ""The Hand""",T1,T2, 10  20 '
    file.write_text(f"# one\n\n{HEADER}\n\n{row}\n", encoding="utf-8-sig")
    (request,) = read_slate(DAY, file).requests
    assert request.player_name == 'Öner, "The Hand"'
    assert request.recent_points == (10.0, 20.0)


class TestNoSlateAtAll:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(SlateError, match=r"none\.csv cannot be read: No such file"):
            read_slate(DAY, tmp_path / "none.csv")

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "slate.csv"
        file.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(SlateError, match="is not UTF-8 text"):
            read_slate(DAY, file)

    @pytest.mark.parametrize("lines", [("a,b", GOOD), ("",), ("# only a header",)])
    def test_other_columns(self, tmp_path: Path, lines: tuple[str, ...]) -> None:
        with pytest.raises(SlateError, match="must have the columns game_id, game_date"):
            read_slate(DAY, write(tmp_path, *lines))

    def test_broken_quoting(self, tmp_path: Path) -> None:
        with pytest.raises(SlateError, match="line 3: no valid CSV"):
            read_slate(DAY, write(tmp_path, HEADER, GOOD, '"P2'))


class TestAnEmptySlate:
    def test_no_rows(self, tmp_path: Path) -> None:
        with pytest.raises(EmptySlateError, match="has no rows: nobody to predict for on 2026-02-05"):
            read_slate(DAY, write(tmp_path, HEADER))

    def test_nothing_but_bad_rows_are_named_up_to_three_and_counted(self, tmp_path: Path) -> None:
        bad = [f"G1,2026-02-05,P{number},Name,T1,T2,x" for number in range(5)]
        with pytest.raises(EmptySlateError, match=r"line 2 \(P0\).*line 4 \(P2\).*; and 2 more"):
            read_slate(DAY, write(tmp_path, HEADER, *bad))


rows = st.lists(st.lists(st.text(max_size=8), max_size=9), max_size=20)


@given(rows)
def test_every_row_is_used_or_set_aside(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    """Whatever stands in the file: no row is dropped in silence."""
    import csv

    file = tmp_path_factory.mktemp("slate") / "slate.csv"
    with file.open("w", encoding="utf-8", errors="replace", newline="") as stream:
        stream.write(f"{HEADER}\n{GOOD}\n")
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(rows)
    slate = read_slate(DAY, file)
    assert len(slate.requests) + len(slate.set_aside) == 1 + sum(bool(row) for row in rows)
