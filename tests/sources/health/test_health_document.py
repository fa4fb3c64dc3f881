"""What a worker's answer may be: a document that is wrong in one place is believed in none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.health import LABEL, ask, document, live, reply, unreachable
from support.web import Web

from drift_gate.fingerprint import digest
from drift_gate.sources.health.document import read


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


ID = "1" * 40


PATHS = (
    *("/etc/passwd", "../a", "a/../b", "a//b", "a/", "./a", "", "."),
    *("a\nb", "a\x1b[31m", "a\x00b", "a\x7f", "\x9b1m", "a" * 5000, "\ud800.py"),
)
IDS = ("x" * 40, "A" * 40, "1" * 39, "1" * 64 + " ", "", None, 1)
WRONG: dict[str, tuple[Any, ...]] = {
    "files": (
        *({path: ID} for path in PATHS),
        *({"a.py": blob} for blob in IDS),
        *({"a.py": "1" * 40, "b.py": "1" * 64}, ["a.py"], None),
    ),
    "digest": ("", None, 7, "sha256:" + "0" * 64, "0" * 64, digest({})),
    "covers": (None, "a", [1], ["/etc"], ["../"], ["a\n"], ["a/"] * 1001, {}),
    "ignored": (None, "a", [""], ["a" * 201], ["a\x1b"], [1], ["*"] * 1001),
    "unread": (None, ["a"], {"/etc": "x"}, {"a\n": "x"}, {"../": "x"}),
    "changed": (None, "a", {}, [1], *([path] for path in PATHS), ["a"] * 40_001),
    "loaded": (None, "a", {}, [1], *([path] for path in PATHS), ["a"] * 40_001),
    "dirty": ("false", 0, None, []),
    "started_at": ("yesterday", 7, "2026-02-05T16:37:12", "\x1b", "9" * 9999),
    "schema_version": (0, 2, "1", None, [], "\x1b[31m" * 99),
}


def summable(files: Any) -> bool:
    """Whether a digest can be made for it, so that the digest is not what is wrong."""
    return isinstance(files, dict) and all(
        isinstance(blob, str) and not path.startswith("\ud800") for path, blob in files.items()
    )


class TestLies:
    """A document that is wrong in one place is believed in none."""

    @pytest.mark.parametrize(
        "wrong",
        [{key: value} for key, values in WRONG.items() for value in values],
        ids=lambda wrong: ascii(wrong)[:50],
    )
    def test_a_document_with_a_flaw_is_no_document(self, wrong: dict[str, Any], web: Web) -> None:
        files = wrong.get("files")
        said = document(files=files) if summable(files) else document()
        web.replies["/version"] = reply({**said, **wrong})
        told = ask(live(web.url))
        assert unreachable(told).data["cause"] == "invalid-response"
        assert told.revisions[0].evidence == (LABEL,)

    def test_too_many_files(self) -> None:
        files = {f"a{number}": ID for number in range(20_001)}
        with pytest.raises(ValueError, match="more than 20,000 files"):
            read(document(files=files))
        files.popitem()
        assert read(document(files=files)).content is not None

    @pytest.mark.parametrize("revision", [7, ["x"], "x\n", "X" * 20, "a" * 101, {"a": 1}, "<script>"])
    def test_a_name_that_no_revision_has_is_none(self, revision: Any) -> None:
        assert read({**document(), "revision": revision}).revision is None

    @pytest.mark.parametrize("error", ["\x1b[31mred", "a" * 100_000, 7, {"a": 1}, ["<b>"]])
    def test_a_workers_own_words_are_made_harmless(self, error: Any, web: Web) -> None:
        web.replies["/version"] = reply(document(error=error))
        assert unreachable(ask(live(web.url))).data["cause"] == "unavailable"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*document(), "unread", "ignored", "fingerprint"]), JSON_VALUES))
def test_whatever_an_answer_holds_it_is_read_or_refused(changes: dict[str, Any]) -> None:
    """Never another exception than the one that means nonsense, and nothing unfit is kept."""
    try:
        said = read({**document(), **changes})
    except ValueError:
        return
    if said.content is not None:
        assert said.content.digest == digest(said.content.files)
        assert all(path.isprintable() for path in said.content.files)
        assert not said.content.covers or all(not each.startswith("/") for each in said.content.covers)
