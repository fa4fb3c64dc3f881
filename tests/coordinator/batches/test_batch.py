"""What a batch is: its states, its stamp and its ending."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date

import pytest
from coordinator.worlds import a_verdict
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.comparison.report import LiveReport
from drift_gate.facts import Evidence, Live, LiveRevision
from drift_gate.policy.verdict import JudgedBy, Policy
from predictions.coordinator.batches.batch import ACTIVE, STATES, TRANSITIONS, Progress, new_id
from predictions.coordinator.batches.ending import Share, ending
from predictions.coordinator.batches.stamp import Serving, Stamp

OLD, NEW = "a" * 40, "b" * 40


def a_stamp(revision: str | None = "w-1", commit: str | None = OLD) -> Stamp:
    return Stamp(gate_decision="allow", enforced=True, live_revisions=(revision,), live_commits=(commit,))


def a_revision(
    name: str | None = "w-1", percent: int = 100, container: str | None = None, marks: Sequence[str] = ()
) -> LiveRevision:
    evidence = tuple(Evidence(carrier="ledger", key="k", value=mark) for mark in marks)
    return LiveRevision(revision=name, percent=percent, container=container, evidence=evidence)


def a_share(commit: str | None, revision: str | None = "w-1") -> Share:
    return Share(revision=revision, commit=commit, results=1)


class TestStates:
    def test_each_state_says_what_may_follow(self) -> None:
        assert set(TRANSITIONS) == set(STATES)

    def test_nothing_follows_on_the_end_that_somebody_meant(self) -> None:
        assert [state for state in STATES if not TRANSITIONS[state]] == ["completed", "cancelled"]

    @pytest.mark.parametrize("state", sorted(ACTIVE))
    def test_every_active_batch_can_end_in_each_way(self, state: str) -> None:
        assert TRANSITIONS[state] >= {"completed", "failed", "cancelled"}  # type: ignore[index] # a key of it


class TestTheStamp:
    def test_is_made_from_a_verdict(self) -> None:
        live = (
            LiveReport(revision="w-1", percent=10, status="identical", commit=OLD),
            LiveReport(revision="w-2", percent=90, status="identical", commit=NEW),
        )
        verdict = a_verdict("warn")
        report = verdict.report.model_copy(update={"live": live, "addresses": ("https://w.example",)})
        by = JudgedBy(file="drift.toml", hash="0123456789ab")
        verdict = verdict.model_copy(update={"report": report, "policy": by})
        stamp = Stamp.of(verdict)
        assert (stamp.gate_decision, stamp.enforced, stamp.policy_hash) == ("warn", True, "0123456789ab")
        assert stamp.addresses == ("https://w.example",)
        assert (stamp.live_revisions, stamp.live_commits) == (("w-2", "w-1"), (NEW, OLD))

    @pytest.mark.parametrize(
        ("stamp", "live", "named"),
        [
            (a_stamp(), [a_revision()], True),
            (a_stamp(), [a_revision(), a_revision(container="side")], True),
            (a_stamp(), [a_revision("w-2")], False),
            (a_stamp(), [a_revision(), a_revision("w-2", percent=10)], False),
            (a_stamp(commit=None), [a_revision()], False),
            (Stamp(gate_decision="allow", enforced=False), [a_revision()], False),
            (a_stamp(None), [a_revision(None, marks=[OLD, OLD])], True),
            (a_stamp(None), [a_revision(None, marks=[OLD, NEW])], False),
            (a_stamp(None), [a_revision(None, marks=[OLD[:12]])], False),
            (a_stamp(None), [a_revision(None)], False),
            (a_stamp(None), [a_revision("w-1", marks=[OLD])], False),
        ],
    )
    def test_says_whether_what_serves_is_what_was_judged(
        self, stamp: Stamp, live: list[LiveRevision], named: bool
    ) -> None:
        told = Live(kind="service", project=None, region=None, revisions=tuple(live))
        assert stamp.names(told) is named

    def test_names_several_revisions_whatever_their_order(self) -> None:
        stamp = Stamp(
            gate_decision="allow", enforced=True, live_revisions=("w-2", "w-1"), live_commits=(NEW, OLD)
        )
        live = (a_revision("w-1", percent=10), a_revision("w-2", percent=90))
        assert stamp.names(Live(kind="service", project=None, region=None, revisions=live))

    def test_knows_where_the_one_judged_revision_answers_alone(self) -> None:
        """Of several none is the judged one."""
        one, other = (
            LiveReport(
                revision=name, percent=50, status="identical", commit=OLD, url=f"https://{name}.example"
            )
            for name in ("w-1", "w-2")
        )
        verdict = a_verdict()
        for live, url in (((one,), "https://w-1.example"), ((one, other), None)):
            report = verdict.report.model_copy(update={"live": live})
            assert Stamp.of(verdict.model_copy(update={"report": report})).live_url == url

    def test_travels_as_text_without_what_is_not_known(self) -> None:
        assert a_stamp(None).attributes() == {
            "gate_decision": "allow",
            "gate_enforced": "true",
            "live_commit": OLD,
        }

    def test_names_the_policy_by_its_content(self) -> None:
        assert Policy().digest == Policy(max_commits_behind=3).digest
        assert Policy().digest != Policy(max_commits_behind=4).digest


class TestTheEnding:
    @pytest.mark.parametrize(
        ("shares", "now", "mixed"),
        [
            pytest.param([OLD], Serving(("w-1",), (OLD,)), False, id="nothing changed"),
            pytest.param([OLD], Serving(("w-2",), (NEW,)), True, id="another revision serves now"),
            pytest.param([OLD], Serving(("w-2",), (OLD,)), True, id="another revision of the same commit"),
            pytest.param(
                [OLD, NEW], Serving(("w-1",), (OLD,)), True, id="deployed and rolled back meanwhile"
            ),
            pytest.param(
                [NEW], Serving(("w-1",), (OLD,)), True, id="an instance of another revision answered"
            ),
            pytest.param([OLD[:8]], Serving(("w-1",), (OLD,)), False, id="the worker says a short id"),
            pytest.param([None], Serving(("w-1",), (OLD,)), None, id="the worker says no commit"),
            pytest.param([OLD, None], Serving(("w-1",), (OLD,)), None, id="one of two says no commit"),
            pytest.param([None], Serving(("w-2",), (NEW,)), True, id="and another revision serves"),
            pytest.param([OLD[:3]], Serving(("w-1",), (OLD,)), True, id="an id that fits any commit"),
            pytest.param([OLD], "Cloud Run did not answer", None, id="nobody knows what serves"),
            pytest.param([OLD, NEW], "Cloud Run did not answer", True, id="the results alone tell"),
            pytest.param([OLD], Serving((None,), (None,)), None, id="what serves has no name"),
        ],
    )
    def test_is_mixed_when_results_may_come_from_another_revision(
        self, shares: list[str | None], now: Serving | str, mixed: bool | None
    ) -> None:
        end = ending([a_stamp()], [a_share(commit) for commit in shares], now)
        assert end.mixed is mixed
        assert end.marks == (("mixed-revision",) if mixed else ())

    def test_of_a_ledger_is_told_by_commit(self) -> None:
        stamp = a_stamp(None)
        assert ending([stamp], [], Serving((None,), (OLD,))).mixed is False
        assert ending([stamp], [], Serving((None,), (NEW,))).mixed is True

    @given(st.permutations(["w-1", "w-2", "w-3"]), st.permutations(["w-1", "w-2", "w-3"]))
    def test_the_order_of_the_revisions_is_no_change(self, then: list[str], now: list[str]) -> None:
        commits = (OLD,) * 3
        stamp = a_stamp().model_copy(update={"live_revisions": tuple(then), "live_commits": commits})
        assert ending([stamp], [], Serving(tuple(now), commits)).mixed is False


def test_a_batch_is_settled_when_each_request_has_its_prediction_or_error() -> None:
    for completed, failed in itertools.product(range(3), range(3)):
        progress = Progress(requested=3, completed=completed, failed=failed)
        assert progress.settled == (completed + failed >= 3)


def test_no_two_batches_share_an_id() -> None:
    day = date(2026, 2, 5)
    assert len({new_id(day) for _ in range(100)}) == 100
    assert new_id(day).startswith("2026-02-05-")
