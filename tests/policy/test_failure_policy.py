"""What an unknown decides by its cause, and from when on anything is enforced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.world import WORKER, World

from drift_gate.comparison.report import LiveReport, unknown_report
from drift_gate.errors import CAUSES, Cause, DriftConfigError
from drift_gate.facts import Unknown
from drift_gate.policy.verdict import FailurePolicy, Policy, judge
from drift_gate.settings.file import Settings, load

NOW = datetime(2026, 12, 7, 9, tzinfo=UTC)
LEDGER = '[defaults]\nlive = "ledger"\n[services.worker]\n[policy]\n'
SECOND = timedelta(seconds=1)


def written(folder: Path, policy: str, **environ: str) -> Settings:
    (folder / "drift.toml").write_text(LEDGER + policy + "\n")
    return load(folder, environ)


def policy_of(folder: Path, policy: str, **environ: str) -> Policy:
    return written(folder, policy, **environ).service("worker").policy


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize(
    ("told", "decision"),
    [
        ("fail", "deny"),
        ("ignore", "warn"),
        ({"default": "ignore"}, "warn"),
        ({"default": "fail"}, "deny"),
        ({}, "deny"),
        ({"SAME": "ignore"}, "warn"),
        ({"default": "ignore", "SAME": "fail"}, "deny"),
        ({"OTHER": "ignore"}, "deny"),
        ({"default": "ignore", "OTHER": "fail"}, "warn"),
    ],
)
def test_each_cause_is_judged_by_its_own_word_else_by_the_default_else_it_fails(
    cause: Cause, told: FailurePolicy | dict[str, FailurePolicy], decision: str
) -> None:
    """``SAME`` stands for the cause, ``OTHER`` for another one."""
    if isinstance(told, dict):
        other = next(each for each in CAUSES if each != cause)
        told = {{"SAME": cause, "OTHER": other}.get(key, key): word for key, word in told.items()}
    report = unknown_report("worker", "service", Unknown(cause=cause, message="no answer"))
    verdict = judge(report, Policy(failure_policy=told), NOW)
    assert (verdict.decision, verdict.report.status, verdict.severity) == (decision, "unknown", "critical")


def test_an_ignored_cause_excuses_no_other() -> None:
    """Two revisions, one cause each: each is judged by itself and the worse decides."""
    causes: tuple[Cause, ...] = ("unavailable", "not-found")
    lives = tuple(
        LiveReport(revision=cause, percent=50, status="unknown", unknown=Unknown(cause=cause, message=cause))
        for cause in causes
    )
    report = unknown_report("worker", "service", Unknown(cause="unavailable", message="one of them"))
    report = report.model_copy(update={"live": lives})
    verdict = judge(report, Policy(failure_policy={"unavailable": "ignore"}), NOW)
    assert verdict.refuses_unknown
    assert [(each.data["cause"], each.decision) for each in verdict.reasons] == [
        ("not-found", "deny"),
        ("unavailable", "warn"),
    ]


def test_the_table_is_read_from_the_file(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, 'failure_policy = {unavailable = "ignore", not-found = "fail"}')
    assert (policy.on_unknown("unavailable"), policy.on_unknown("timeout")) == ("warn", "deny")


def test_the_environment_replaces_the_whole_table(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, 'failure_policy = {not-found = "fail"}', DRIFT_FAILURE_POLICY="ignore")
    assert policy.on_unknown("not-found") == "warn"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('failure_policy = {unavailible = "ignore"}', "unavailible'; did you mean unavailable"),
        ('failure_policy = {defualt = "ignore"}', "defualt'; did you mean default"),
        ('failure_policy = {timeout = "ignroe"}', '"fail" or "ignore"'),
        ('failure_policy = ["ignore"]', '"fail" or "ignore"'),
    ],
)
def test_a_wrong_table_stops_with_the_key(tmp_path: Path, line: str, said: str) -> None:
    """A misspelt cause would fail where it was meant to be ignored, or the other way round."""
    with pytest.raises(DriftConfigError, match=r"\[policy\] failure_policy: ") as caught:
        written(tmp_path, line)
    assert said in str(caught.value)


def test_a_whole_check_ignores_what_the_table_says(world: World) -> None:
    """A service that is not there, ignored by its cause; a label that names nothing is not."""
    world.toml += '[policy]\nfailure_policy = {not-found = "ignore"}\n'
    assert (world.verdict().decision, world.outcome().exit_code) == ("warn", 0)
    world.cloud.deploy(WORKER, labels={"commit-sha": "latest"}, image="worker:latest")
    assert (world.verdict().decision, world.outcome().exit_code) == ("deny", 3)


class TestEnforceFrom:
    @pytest.mark.parametrize(
        ("now", "enforced", "because"),
        [
            (NOW - timedelta(days=40), False, "enforce-from"),
            (NOW - SECOND, False, "enforce-from"),
            (NOW, True, None),
            (NOW + SECOND, True, None),
        ],
    )
    def test_nothing_is_enforced_before_it(self, now: datetime, enforced: bool, because: str | None) -> None:
        """The decision is the same before and after; the very moment counts as after."""
        report = unknown_report("worker", "service", Unknown(cause="timeout", message="no answer"))
        verdict = judge(report, Policy(enforce_from=NOW), now)
        assert verdict.decision == "deny"
        assert (verdict.enforced, verdict.not_enforced_because) == (enforced, because)
        assert verdict.refuses is enforced

    @pytest.mark.parametrize("now", [NOW - SECOND, NOW])
    def test_a_gate_that_was_softened_by_hand_stays_soft(self, now: datetime) -> None:
        report = unknown_report("worker", "service", Unknown(cause="timeout", message="no answer"))
        verdict = judge(report, Policy(enforcement="warn", enforce_from=NOW), now)
        assert (verdict.enforced, verdict.not_enforced_because) == (False, "enforcement")

    @pytest.mark.parametrize(
        ("value", "moment"),
        [
            ("2026-12-07", datetime(2026, 12, 7, tzinfo=UTC)),
            ("2026-12-07T09:00:00", NOW),
            ("2026-12-07T09:00:00Z", NOW),
            ("2026-12-07 01:00:00-08:00", NOW),
            ('"2026-12-07"', datetime(2026, 12, 7, tzinfo=UTC)),
        ],
    )
    def test_a_date_or_a_time_in_the_file(self, tmp_path: Path, value: str, moment: datetime) -> None:
        """Without a zone it is UTC, a date alone its first moment."""
        assert policy_of(tmp_path, f"enforce_from = {value}").enforce_from == moment

    @pytest.mark.parametrize("text", ["2026-12-07T09:00:00Z", " 2026-12-07T09:00 ", "20261207T090000+0000"])
    def test_iso_text_in_the_environment(self, tmp_path: Path, text: str) -> None:
        assert policy_of(tmp_path, "", DRIFT_ENFORCE_FROM=text).enforce_from == NOW

    @pytest.mark.parametrize("value", ["true", "20261207", "09:00:00", '"next monday"', '""', "[]"])
    def test_anything_else_stops_with_the_key(self, tmp_path: Path, value: str) -> None:
        with pytest.raises(DriftConfigError, match=r"\[policy\] enforce_from: .* such as 2026-12-07"):
            written(tmp_path, f"enforce_from = {value}")

    @pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
    def test_the_ends_of_time_are_times(self, tmp_path: Path, value: str) -> None:
        policy = policy_of(tmp_path, f"enforce_from = {value}")
        assert (policy.lenient_because(NOW) is None) is value.startswith("0001")

    def test_a_whole_check_before_and_after(self, world: World) -> None:
        """The refusal comes by itself: only the time is another."""
        world.cloud.deploy(WORKER, commit=world.first)
        for _ in range(4):
            world.change()
        plain = world.toml
        for days, code in ((1, 0), (-1, 1)):
            day = datetime.now(UTC).date() + timedelta(days=days)
            world.toml = plain + f"[policy]\nenforce_from = {day}\n"
            outcome = world.outcome()
            assert (outcome.decision, outcome.exit_code) == ("deny", code)
