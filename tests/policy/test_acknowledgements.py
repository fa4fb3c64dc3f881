"""Acknowledgements: what they cover, what ends them, and what they can never cover."""

from __future__ import annotations

import io
import json
import logging
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.heavy import light
from support.world import WORKER, World, codes

from drift_gate import gate
from drift_gate.comparison.report import DriftReport, LiveReport, Status
from drift_gate.errors import DriftCheckError, DriftConfigError
from drift_gate.facts import Finding, Target, Unknown
from drift_gate.policy.acknowledgements import (
    BOUND,
    FURTHEST,
    Acknowledgement,
    applied,
    complaints,
    ending,
    read,
    tables,
)
from drift_gate.policy.verdict import Policy, Verdict, judge
from drift_gate.presentation import render
from drift_gate.settings.file import load
from drift_gate.wiring import checks

NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
FRIDAY = NOW + timedelta(days=1)
OLD, OTHER, TARGET = "a" * 40, "c" * 40, "b" * 40
MANY = "too-many-commits-behind"
WHY = "rolled back until the odds feed is mended"


def live(commit: str | None, behind: int = 0, revision: str | None = "w-1", **more: Any) -> LiveReport:
    numbers: dict[str, Any] = {} if "unknown" in more else {"commits_behind": behind, "commits_ahead": 0}
    status: Status = "unknown" if "unknown" in more else "behind" if behind else "identical"
    return LiveReport(
        revision=revision,
        percent=100,
        status=status,
        commit=commit,
        content_differs=bool(behind),
        **numbers,
        **more,
    )


def verdict(*lives: LiveReport, found: tuple[str, ...] = (), policy: Policy | None = None) -> Verdict:
    unknown = next((each.unknown for each in lives if each.unknown), None)
    report = DriftReport(
        service="worker",
        kind="service",
        status="unknown" if unknown else "behind",
        target=Target(ref="refs/heads/main", commit=TARGET, confirmed_at=NOW),
        live=lives,
        unknown=unknown,
        findings=tuple(Finding(code=code, message=code) for code in found),
    )
    return judge(report, policy or Policy(), NOW)


def told(*codes: str, **more: Any) -> Acknowledgement:
    values = {"service": "worker", "live_commit": OLD, "codes": codes or (MANY,), "reason": WHY}
    return Acknowledgement.model_validate({"until": FRIDAY, **values, **more})


NO_ANSWER = Unknown(cause="timeout", message="no answer")
STALE = live(OLD, 5)
ROLLED_BACK = ("traffic-pinned",)

# what is judged, what is acknowledged, whether that lifts the refusal
TABLE: list[tuple[str, Verdict, list[Acknowledgement], bool]] = [
    ("the known drift", verdict(STALE), [told()], True),
    ("more commits are missing by now", verdict(live(OLD, 500)), [told()], True),
    ("a second before its end", verdict(STALE), [told(until=NOW + timedelta(seconds=1))], True),
    ("at its end", verdict(STALE), [told(until=NOW)], False),
    ("after its end", verdict(STALE), [told(until=NOW - timedelta(days=1))], False),
    ("a second too far ahead", verdict(STALE), [told(until=NOW + FURTHEST + timedelta(seconds=1))], False),
    ("as far ahead as may be", verdict(STALE), [told(until=NOW + FURTHEST)], True),
    ("ended, and renewed", verdict(STALE), [told(until=NOW), told()], True),
    ("another commit is live", verdict(live(OTHER, 5)), [told()], False),
    ("no acknowledgement", verdict(STALE), [], False),
    ("another service", verdict(STALE), [told(service="grader")], False),
    ("another code", verdict(STALE), [told("drift-too-old")], False),
    ("codes that do not come up", verdict(STALE), [told(MANY, "dirty-build")], True),
    ("a new code denies too", verdict(STALE, found=ROLLED_BACK), [told()], False),
    ("both codes", verdict(STALE, found=ROLLED_BACK), [told(MANY, *ROLLED_BACK)], True),
    ("one table per code", verdict(STALE, found=ROLLED_BACK), [told(), told(*ROLLED_BACK)], True),
    ("a new code that only warns", verdict(STALE, found=("traffic-split",)), [told()], True),
    ("a ledger, whose revisions have no name", verdict(live(OLD, 5, None)), [told()], True),
    ("nothing known of what is live", verdict(live(None, unknown=NO_ANSWER)), [told()], False),
    (
        "an unknown beside the known drift",
        verdict(STALE, live(None, revision="w-2", unknown=NO_ANSWER)),
        [told()],
        False,
    ),
    (
        "an unknown although the commit is known",
        verdict(live(OLD, unknown=NO_ANSWER)),
        [told(), told(*ROLLED_BACK)],
        False,
    ),
    (
        "a code of the whole workload, beside an ignored unknown",
        verdict(
            STALE,
            live(None, revision="w-2", unknown=NO_ANSWER),
            found=ROLLED_BACK,
            policy=Policy(failure_policy="ignore"),
        ),
        [told(MANY, *ROLLED_BACK)],
        False,
    ),
    ("two stale revisions, one told", verdict(STALE, live(OTHER, 5, "w-2")), [told()], False),
    (
        "two stale revisions, both told",
        verdict(STALE, live(OTHER, 5, "w-2")),
        [told(), told(live_commit=OTHER)],
        True,
    ),
    ("the other revision is current", verdict(STALE, live(TARGET, 0, "w-2")), [told()], True),
    (
        "the other lacks something too",
        verdict(STALE, live(OTHER, 1, "w-2"), found=ROLLED_BACK),
        [told(MANY, *ROLLED_BACK)],
        False,
    ),
    ("the other is within its limits", verdict(STALE, live(OTHER, 1, "w-2")), [told()], True),
    ("nothing that serves", verdict(found=("dirty-build",)), [told("dirty-build")], False),
    (
        "current code from a dirty tree",
        verdict(live(OLD), found=("dirty-build",)),
        [told("dirty-build")],
        True,
    ),
]


@pytest.mark.parametrize(
    ("judged", "acknowledged", "lifted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_lifts_a_refusal(judged: Verdict, acknowledged: list[Acknowledgement], lifted: bool) -> None:
    """Each row, in either order of the tables; a refusal that stands is untouched."""
    assert judged.refuses
    for order in (acknowledged, acknowledged[::-1]):
        answer = applied(judged, order, NOW)
        assert (answer.decision, answer.report) == (judged.decision, judged.report)
        assert codes(answer) == codes(judged)
        assert answer.refuses is not lifted
        assert answer.not_enforced_because == ("acknowledged" if lifted else None)
        assert lifted or answer == judged


def test_a_lifted_refusal_says_by_whose_words_and_until_when() -> None:
    """In the message for people, in the data for programs; what only warns is not touched."""
    denied, warned = applied(verdict(STALE, found=("traffic-split",)), [told()], NOW).reasons
    assert denied.message.endswith(f"allowed; acknowledged until 2026-02-06 16:37+00:00: {WHY}")
    assert denied.data["commits_behind"] == 5
    assert denied.data["acknowledged"] == [
        {"live_commit": OLD, "reason": WHY, "until": "2026-02-06T16:37:00+00:00"}
    ]
    assert (warned.message, "acknowledged" in warned.data) == ("traffic-split", False)


def test_the_one_that_holds_for_longest_is_named() -> None:
    later = told(until=FRIDAY + timedelta(days=7), reason="longer")
    (reason,) = applied(verdict(STALE), [told(), later, told()], NOW).reasons
    assert [each["reason"] for each in reason.data["acknowledged"]] == ["longer"]


@pytest.mark.parametrize(
    ("judged", "because"),
    [
        (verdict(live(TARGET)), None),
        (verdict(live(OLD, 1)), None),
        (verdict(STALE, policy=Policy(enforcement="warn")), "enforcement"),
    ],
)
def test_what_refuses_nothing_is_left_as_it_is(judged: Verdict, because: str | None) -> None:
    """Allowed, warned of, or not enforced anyway: there is nothing to lift."""
    assert applied(judged, [told()], NOW) is judged
    assert judged.not_enforced_because == because


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_time_are_times(until: str) -> None:
    assert applied(verdict(STALE), [told(until=until)], NOW).refuses


def test_its_end_lies_in_the_future() -> None:
    assert ending("2026-02-06", NOW) == datetime(2026, 2, 6, tzinfo=UTC)
    with pytest.raises(DriftConfigError, match="past"):
        ending(NOW.isoformat(), NOW)


def test_its_end_is_at_most_ninety_days_ahead() -> None:
    assert ending((NOW + timedelta(days=90)).isoformat(), NOW) == NOW + timedelta(days=90)
    with pytest.raises(DriftConfigError, match="90 days ahead"):
        ending((NOW + timedelta(days=90, seconds=1)).isoformat(), NOW)
    (said,) = complaints(verdict(STALE), [told(until=NOW + timedelta(days=91))], NOW)
    assert "more than 90 days ahead" in said


#: What a denial may be for: few enough that two draws often share some of it.
LISTS = {
    "content-differs",
    "deny-path",
    "deny-subject",
    "warn-path",
    "content-mismatch",
    "required-env-missing",
    "closure-incomplete",
}
#: Of those that tell a list and of those that tell one thing.
SOME = ("deny-path", "required-env-missing", *sorted(BOUND.keys() - LISTS)[:2])
THINGS = st.lists(
    st.sampled_from(["a", "b", "a b", "a\nb", "a\\nb", "é", "\udc80", ""]), max_size=3, unique=True
)


def denied_for(code: str, data: dict[str, Any]) -> Verdict:
    finding = Finding(code=code, message=code, data=data)
    report = verdict(live(OLD)).report.model_copy(update={"findings": (finding,)})
    return judge(report, Policy(reasons={code: "deny"}), NOW)


def within(code: str, now: dict[str, Any], given_for: dict[str, Any]) -> bool:
    """Whether all that is denied now was taken on: said of the data, with no word of ours."""
    if code not in LISTS:
        return now == given_for
    here, there = ({(key, each) for key, told in data.items() for each in told} for data in (now, given_for))
    return here <= there if here else not there


class TestWhatItWasGivenFor:
    @pytest.mark.parametrize("code", light(sorted(BOUND), SOME))
    @given(data=st.data())
    def test_a_denial_for_anything_else_is_never_covered(self, code: str, data: st.DataObject) -> None:
        """Whatever of its data says what it is for: one that holds less than was taken on is covered."""
        kinds = THINGS if code in LISTS else st.sampled_from(["a", "b", "a\nb", "é"])
        drawn = st.dictionaries(st.sampled_from(BOUND[code]), kinds)
        given_for, now_for = data.draw(drawn), data.draw(drawn)
        text = tables(denied_for(code, given_for), FRIDAY, WHY)
        told = read(text.encode()).acknowledged
        assert not applied(denied_for(code, given_for), told, NOW).refuses
        assert applied(denied_for(code, now_for), told, NOW).refuses is not within(code, now_for, given_for)

    def test_what_grows_is_none_of_it(self) -> None:
        one = denied_for("deny-path", {"paths": ["a.py"], "commits": 1, "commit": OLD})
        many = denied_for("deny-path", {"paths": ["a.py"], "commits": 7, "commit": OTHER})
        assert not applied(many, read(tables(one, FRIDAY, WHY).encode()).acknowledged, NOW).refuses

    def test_a_code_alone_covers_nothing_and_the_line_to_write_is_told(self) -> None:
        judged = denied_for("required-env-missing", {"missing": ["MODEL_PATH", "REGION"]})
        bare = [told("required-env-missing")]
        assert applied(judged, bare, NOW) is judged
        (said,) = complaints(judged, bare, NOW)
        line = 'codes = ["required-env-missing: MODEL_PATH", "required-env-missing: REGION"]'
        assert said.endswith(f"with required-env-missing, which does not say what for; write {line}")
        named = tomllib.loads(line)["codes"]
        assert not applied(judged, [told(*named)], NOW).refuses
        assert [*complaints(applied(judged, [told(*named)], NOW), bare, NOW)] == []

    def test_two_may_share_it(self) -> None:
        judged = denied_for("deny-subject", {"rules": ["^hotfix", "schema"]})
        shares = [told("deny-subject: ^hotfix"), told("deny-subject: schema")]
        assert not applied(judged, shares, NOW).refuses
        assert all(applied(judged, [each], NOW).refuses for each in shares)


class TestTheTableToCommit:
    def test_it_covers_what_it_was_made_for(self) -> None:
        """For several codes and revisions; a reason with quotes and line breaks stays on its line."""
        judged = verdict(STALE, live(OTHER, 9, "w-2"), live(TARGET, 0, "w-3"), found=ROLLED_BACK)
        text = tables(judged, FRIDAY, 'a "quoted"\nreason \\ with \u00e9 \x7f\x1b')
        found = read(text.encode())
        assert found.complaints == ()
        assert [each.live_commit for each in found.acknowledged] == [OLD, OTHER]
        assert {each.reason for each in found.acknowledged} == {'a "quoted" reason \\ with \u00e9   '}
        assert not applied(judged, found.acknowledged, NOW).refuses

    def test_nothing_denied_is_an_empty_text(self) -> None:
        assert tables(verdict(live(OLD, 1)), FRIDAY, WHY) == ""

    @pytest.mark.parametrize(
        "judged",
        [
            verdict(live(None, unknown=NO_ANSWER)),
            verdict(STALE, live(None, revision="w-2", unknown=NO_ANSWER)),
            verdict(live(OLD, unknown=NO_ANSWER)),
            verdict(found=("dirty-build",)),
        ],
    )
    def test_an_unknown_is_refused(self, judged: Verdict) -> None:
        """A table that covers the rest would lift nothing, and one that covers it would be a lie."""
        with pytest.raises(DriftCheckError, match="cannot be acknowledged"):
            tables(judged, FRIDAY, WHY)


GOOD: dict[str, object] = {
    "service": WORKER,
    "live_commit": OLD,
    "codes": [MANY],
    "reason": WHY,
    "until": "2026-02-06",
}
LEDGER = f'[defaults]\nlive = "ledger"\n[services.{WORKER}]\n'
WRONG: list[tuple[str, object, str]] = [
    ("service", "prediction-wroker", "did you mean prediction-worker"),
    ("live_commit", "a" * 12, "a full commit id"),
    ("live_commit", "A" * 40, "a full commit id"),
    ("codes", [], "at least 1"),
    ("codes", ["too-many-commits"], f"did you mean {MANY}"),
    ("codes", ["unknown-drift"], "nobody can vouch"),
    ("reason", "  ", "a text that says why"),
    ("until", "friday", "ISO"),
    ("until", 7, "a point in time"),
    ("until", None, "is missing; it is a date or time"),
    ("untill", "2026-02-06", "did you mean until"),
]


def table(**more: object) -> str:
    values = {key: value for key, value in {**GOOD, **more}.items() if value is not None}
    return "[[acknowledged]]\n" + "".join(f"{key} = {json.dumps(each)}\n" for key, each in values.items())


class TestAtHand:
    @pytest.mark.parametrize(("key", "value", "said"), WRONG)
    def test_a_wrong_table_stops_with_number_and_key(
        self, tmp_path: Path, key: str, value: object, said: str
    ) -> None:
        (tmp_path / "drift.toml").write_text(LEDGER + table() + table(**{key: value}))
        with pytest.raises(DriftConfigError, match=rf"\[\[acknowledged\]\] 2 {key}: ") as caught:
            load(tmp_path, {})
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        "text", ["acknowledged = 1", "acknowledged = [1]", "[acknowledged]\nreason = 'x'"]
    )
    def test_it_is_a_list_of_tables(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "drift.toml").write_text(text + "\n" + LEDGER)
        with pytest.raises(DriftConfigError, match="must be a list of tables"):
            load(tmp_path, {})

    def test_a_date_alone_is_its_first_moment(self, tmp_path: Path) -> None:
        (tmp_path / "drift.toml").write_text(LEDGER + table().replace('"2026-02-06"', "2026-02-06"))
        (found,) = load(tmp_path, {}).acknowledged
        assert found.until == datetime(2026, 2, 6, tzinfo=UTC)


class TestAtTheTarget:
    @pytest.mark.parametrize(("key", "value", "said"), WRONG[1:])
    def test_a_wrong_table_holds_nothing_and_takes_no_other_with_it(
        self, key: str, value: object, said: str
    ) -> None:
        found = read((table(**{key: value}) + table()).encode())
        assert len(found.acknowledged) == len(found.complaints) == 1
        assert found.complaints[0].startswith(f"[[acknowledged]] 1 '{key}': ")

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"[[", b"acknowledged = 1", b"acknowledged = [1]"])
    def test_a_broken_file_holds_nothing(self, content: bytes) -> None:
        found = read(content)
        assert (found.acknowledged, len(found.complaints)) == ((), 1)

    def test_a_file_without_any_is_no_complaint(self) -> None:
        assert read(b"") == ((), ())


def rolled_back(world: World) -> str:
    """Row 38: two deploys, then the traffic goes back to the first by name, on purpose."""
    old = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.deploy(WORKER, commit=world.change())
    world.cloud.pin(WORKER, old)
    return old


def acknowledged(world: World, *codes: str, days: int = 1, commit: str | None = None) -> str:
    until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    return table(codes=codes or ["traffic-pinned"], live_commit=commit or world.first, until=until)


@pytest.fixture(params=["at hand", "merged"])
def tell(request: pytest.FixtureRequest, world: World) -> Callable[[str], None]:
    """Acknowledges in the file at hand, or by a commit on main alone."""

    def at_hand(text: str) -> None:
        world.toml += text

    def merged(text: str) -> None:
        world.history.commit({"drift.toml": world.toml + text}, subject="Acknowledge")

    return at_hand if request.param == "at hand" else merged


class TestRow38:
    """A deliberate rollback: denied, until acknowledged by name with an expiry."""

    def test_it_is_denied_until_it_is_acknowledged(self, world: World, tell: Callable[[str], None]) -> None:
        rolled_back(world)
        assert (world.outcome().decision, world.outcome().exit_code) == ("deny", 1)
        tell(acknowledged(world))
        outcome = world.outcome()
        (verdict,) = outcome.services
        assert (outcome.decision, outcome.exit_code) == ("deny", 0)
        assert (verdict.enforced, verdict.not_enforced_because) == (False, "acknowledged")
        assert verdict.break_glass is None
        console = io.StringIO()
        Console(file=console, width=300).print(render.table(outcome))
        for text in (console.getvalue(), render.markdown(outcome), render.json(outcome)):
            assert "acknowledged" in text
            assert WHY in text

    def test_more_commits_may_go_missing_within_the_codes(
        self, world: World, tell: Callable[[str], None]
    ) -> None:
        rolled_back(world)
        tell(acknowledged(world))
        world.change()
        assert world.outcome().exit_code == 0
        for _ in range(3):
            world.change()
        verdict = world.verdict()
        assert verdict.refuses
        assert {each.code for each in verdict.reasons if each.decision == "deny"} == {MANY, "traffic-pinned"}

    def test_it_ends_at_its_time(self, world: World, tell: Callable[[str], None]) -> None:
        rolled_back(world)
        tell(acknowledged(world, days=-1))
        assert world.outcome().exit_code == 1

    def test_it_ends_when_another_commit_is_live(self, world: World, tell: Callable[[str], None]) -> None:
        rolled_back(world)
        tell(acknowledged(world))
        other = world.cloud.deploy(WORKER, commit=world.change())
        world.change()
        world.cloud.deploy(WORKER, commit=world.change())
        world.cloud.pin(WORKER, other)
        verdict = world.verdict()
        assert (verdict.refuses, codes(verdict)[0]) == (True, "traffic-pinned")

    def test_an_outage_is_not_covered(self, world: World, tell: Callable[[str], None]) -> None:
        rolled_back(world)
        tell(acknowledged(world))
        world.cloud.fault("GetRevision", code="PERMISSION_DENIED")
        verdict = world.verdict()
        assert (verdict.refuses, verdict.report.status) == (True, "unknown")


class TestWhereItIsRead:
    def test_in_its_own_folder_of_the_repository(self, world: World) -> None:
        """The file stands in a folder, so its merged version is sought there, not at the root."""
        rolled_back(world)
        text = acknowledged(world)
        settings = world.settings()
        (world.folder / "deploy").mkdir()
        moved = world.toml.replace("[defaults]", '[defaults]\nrepository = ".."')
        (world.folder / "deploy" / "drift.toml").write_text(moved)

        def code() -> int:
            return checks.check(settings=load(world.folder / "deploy", settings.environ)).exit_code

        world.history.commit({"drift.toml": text})
        assert code() == 1
        world.history.commit({"deploy/drift.toml": text})
        assert code() == 0

    def test_at_the_root_for_a_file_from_outside(self, world: World, tmp_path: Path) -> None:
        """A container has the settings and an address, no checkout."""
        rolled_back(world)
        outside = tmp_path / "etc"
        outside.mkdir()
        address = world.folder.as_uri()
        (outside / "drift.toml").write_text(
            world.toml.replace("[defaults]", f'[defaults]\nrepository = "{address}"')
        )
        settings = load(outside, {**world.settings().environ, "DRIFT_CACHE_DIR": str(tmp_path / "cache")})
        checks.warm(settings=settings)
        assert checks.check(settings=settings).exit_code == 1
        world.history.commit({"drift.toml": acknowledged(world)})
        checks.warm(settings=settings)
        assert checks.check(settings=settings).exit_code == 0

    def test_at_the_root_of_another_repository(self, world: World, tmp_path: Path) -> None:
        """The file has a repository of its own; where it stands there means nothing in the worker's."""
        rolled_back(world)
        deploy = tmp_path / "infra" / "deploy"
        deploy.mkdir(parents=True)
        (deploy.parent / ".git").mkdir()
        (deploy / "drift.toml").write_text(
            world.toml.replace("[defaults]", f'[defaults]\nrepository = "{world.folder}"')
        )
        settings = load(deploy, world.settings().environ)
        world.history.commit({"deploy/drift.toml": acknowledged(world)})
        assert checks.check(settings=settings).exit_code == 1
        world.history.commit({"drift.toml": acknowledged(world)})
        assert checks.check(settings=settings).exit_code == 0

    def test_one_code_at_hand_and_another_merged(self, world: World) -> None:
        """Both files count together."""
        rolled_back(world)
        for _ in range(4):
            world.change()
        world.toml += acknowledged(world)
        assert world.verdict().refuses
        world.history.commit({"drift.toml": acknowledged(world, MANY)})
        assert world.verdict().not_enforced_because == "acknowledged"

    def test_it_is_read_once_for_all_services(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """The number of git processes does not grow with the services: one complaint, not three."""
        rolled_back(world)
        for name in ("grader", "ranker"):
            world.toml += f'[services.{name}]\nrequired_env = ["MODEL_PATH"]\n'
            world.cloud.deploy(name, commit=world.first)
        world.history.commit({"drift.toml": "[["})
        with caplog.at_level(logging.WARNING):
            assert [each.refuses for each in world.outcome().services] == [True, True, True]
        assert caplog.text.count("no valid TOML") == 1

    def test_a_broken_one_at_the_target_is_said_and_holds_nothing(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        rolled_back(world)
        world.history.commit({"drift.toml": "[["})
        with caplog.at_level(logging.WARNING):
            assert world.outcome().exit_code == 1
        assert "no valid TOML" in caplog.text

    def test_one_that_cannot_be_read_is_said_and_holds_nothing(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        rolled_back(world)
        world.history.commit({"drift.toml": acknowledged(world) + "#" * 5_000_000})
        with caplog.at_level(logging.WARNING):
            assert world.outcome().exit_code == 1
        assert "what it acknowledges could not be read" in caplog.text

    def test_that_of_a_commit_is_asked_for_once_in_a_process(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is wrong with it is said by every check."""
        rolled_back(world)
        world.history.commit({"drift.toml": "[["})
        assert world.outcome().exit_code == 1
        monkeypatch.setattr(gate, "acknowledged_at", None)  # whoever asks, raises
        with caplog.at_level(logging.WARNING):
            assert world.outcome().exit_code == 1
        assert "no valid TOML" in caplog.text

    def test_nothing_is_read_for_a_worker_that_is_current(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Only a refusal asks: a check that allows pays nothing, and a broken file there says nothing."""
        world.cloud.deploy(WORKER, commit=world.first)
        world.history.commit({"drift.toml": "[["})
        with caplog.at_level(logging.WARNING):
            assert world.outcome().exit_code == 0
        assert caplog.text == ""
