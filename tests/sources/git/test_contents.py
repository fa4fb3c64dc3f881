"""File contents come from one git process, whatever their number, and none of them can sink a check."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import pytest
from support.repositories import counting

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.blobs import BLOB_LIMIT, blobs_of
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.process import Git
from drift_gate.testing import File, HistoryBuilder

ID = b"1" * 40


def history_of(h: HistoryBuilder, environ: dict[str, str] | None = None) -> GitHistory:
    git = Git(cwd=str(h.path), environ=environ or {"PATH": os.environ["PATH"]}, deadline=Deadline(30))
    return GitHistory(git=git, shallow=False, id_length=40)


def blobs(h: HistoryBuilder, ref: str = "main") -> dict[str, str]:
    """Path to blob id at ``ref``."""
    history = history_of(h)
    commit = h.tip(ref)
    return {path: entry.blob for path, entry in history.files([commit])[commit].items()}


@pytest.fixture
def h(tmp_path: Path) -> HistoryBuilder:
    return HistoryBuilder(tmp_path / "repo")


def test_any_bytes_come_back_as_they_are(h: HistoryBuilder) -> None:
    """Empty, without a last line break, NULs, and lines that look like git's own answers."""
    files = {
        "empty": b"",
        "no-line-break": b"x = 1",
        "nul": b"\0\n\0",
        "sly": b"%s missing\n%s blob 3\nabc\n" % (ID, ID),
        "latin": "é".encode("latin-1"),
    }
    h.commit(dict(files))
    by_path = blobs(h)
    found = history_of(h).contents(list(by_path.values()))
    assert {path: found[blob] for path, blob in by_path.items()} == files


def test_a_link_says_where_it_points_and_a_submodule_says_nothing(h: HistoryBuilder) -> None:
    first = h.commit({"a": "1"})
    h.commit({"link": File("a", "120000"), "sub": File(first, "160000"), "gone": File("2" * 40, "160000")})
    by_path = blobs(h)
    found = history_of(h).contents(list(by_path.values()))
    assert found == {by_path["a"]: b"1", by_path["link"]: b"a"}


def test_what_is_absent_is_left_out_and_the_rest_comes(h: HistoryBuilder) -> None:
    h.commit({"a": "1"})
    blob = blobs(h)["a"]
    assert history_of(h).contents([ID.decode(), blob, blob]) == {blob: b"1"}
    assert history_of(h).contents([]) == {}
    assert history_of(h).missing([blob, ID.decode()]) == [ID.decode()]


@pytest.mark.parametrize("name", ["HEAD", "1234567", "--batch-all-objects", "1" * 39 + "\n", "1" * 40 + "\n"])
def test_only_full_ids_reach_git(h: HistoryBuilder, name: str) -> None:
    with pytest.raises(ValueError, match="not a full object id"):
        history_of(h).contents([name])


@pytest.mark.heavy
def test_a_file_of_50_megabytes_is_left_out_and_never_held(h: HistoryBuilder) -> None:
    h.commit({"huge.py": b"x = 1\n" * 9_000_000, "edge.py": b"y" * BLOB_LIMIT, "small.py": "z"})
    by_path = blobs(h)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = history_of(h).contents(list(by_path.values()))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert set(found) == {by_path["edge.py"], by_path["small.py"]}
    assert len(found[by_path["edge.py"]]) == BLOB_LIMIT
    assert grown_kib < 40_000


@pytest.mark.heavy
def test_20_000_files_take_one_process(h: HistoryBuilder, tmp_path: Path) -> None:
    h.commit({f"d{n % 100}/f{n}.py": f"x = {n}\n" for n in range(20_000)})
    by_path = blobs(h)
    history = history_of(h, counting(tmp_path))
    assert history.contents(list(by_path.values()))[by_path["d7/f107.py"]] == b"x = 107\n"
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


class TestStream:
    """The reader of the answer, for streams that git would never cut at a given place."""

    ANSWER = b"%s blob 3\nabc\n%s missing\n%s tree 2\nxy\n%s blob 0\n\n" % (
        ID,
        b"2" * 40,
        b"3" * 40,
        b"4" * 40,
    )

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
    def test_it_does_not_matter_where_the_chunks_end(self, size: int) -> None:
        chunks = [self.ANSWER[at : at + size] for at in range(0, len(self.ANSWER), size)]
        assert blobs_of(chunks) == {"1" * 40: b"abc", "4" * 40: b""}

    @pytest.mark.parametrize("end", range(len(ANSWER)))
    def test_an_answer_that_ends_early_is_no_answer(self, end: int) -> None:
        """Unless it ends between two objects, where only git's exit status can tell."""
        whole = {0, len(b"%s blob 3\nabc\n" % ID)}
        whole |= {max(whole) + 49, max(whole) + 49 + 51}
        if end in whole:
            assert len(blobs_of([self.ANSWER[:end]])) < 2
            return
        with pytest.raises(SourceError) as caught:
            blobs_of([self.ANSWER[:end]])
        assert caught.value.cause == "invalid-response"

    @pytest.mark.parametrize("answer", [b"nonsense\n", b"x" * 10_000, b"%s blob x\n" % ID, b"\n"])
    def test_nonsense_is_said_to_be_nonsense(self, answer: bytes) -> None:
        with pytest.raises(SourceError) as caught:
            blobs_of([answer])
        assert caught.value.cause == "invalid-response"

    def test_all_of_it_together_is_bounded(self) -> None:
        """An answer that never ends is refused when the limit is reached, not when memory is gone."""
        endless = (b"%040x blob 4\nabcd\n" % number for number in range(sys.maxsize))
        with pytest.raises(SourceError) as caught:
            blobs_of(endless, limit=1000)
        assert caught.value.cause == "history-unavailable"
