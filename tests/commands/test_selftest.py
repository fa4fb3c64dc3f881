"""The self-test sees what the policy says, and fails where the gate could not refuse any drift."""

from __future__ import annotations

import pytest
from support.heavy import light
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.commands.selftest import rounds as selftest
from drift_gate.errors import DriftCheckError, DriftConfigError
from drift_gate.policy.verdict import Outcome
from drift_gate.wiring import checks

DECISIONS = ("allow", "warn", "deny", "deny")


def rounds(world: World, policy: str = "") -> list[selftest.Round]:
    world.toml += f"\n[policy]\n{policy}\n"
    return list(selftest.run(settings=world.settings()))


def test_the_usual_policy_shows_all_four(world: World) -> None:
    """Allow, warn, deny and an unknown that denies, each seen and none remarked upon."""
    seen = rounds(world)
    assert [each.case for each in seen] == ["allow", "warn", "deny", "unknown"]
    assert tuple(each.seen.decision for each in seen) == DECISIONS
    assert all(each.passed for each in seen)
    assert seen[3].seen.report.status == "unknown"
    assert not any(each.expected.remark for each in seen)


POLICIES = [
    ("max_commits_behind = 0", "warn", "deny", "no warn here: max_commits_behind = 0"),
    ('enforcement = "warn"', "deny", "deny", "not enforced (the policy only warns)"),
    ('failure_policy = "ignore"', "unknown", "warn", 'failure_policy = "ignore"'),
    ('failure_policy = {no-commit-evidence = "ignore"}', "unknown", "warn", "stops no batch"),
    ('failure_policy = {default = "ignore"}', "unknown", "warn", "stops no batch"),
    ('failure_policy = {timeout = "ignore"}', "unknown", "deny", "saw deny"),
    ('deny_subjects = ["."]', "warn", "deny", "no warn here: deny_subjects"),
    ('deny_paths = ["*"]', "warn", "deny", "no warn here: deny_paths"),
    ('warn_paths = ["*"]', "warn", "warn", "warn-path"),
    ('reasons = {behind-within-limit = "allow"}', "warn", "allow", 'behind-within-limit = "allow"'),
    ('reasons = {behind-within-limit = "deny"}', "warn", "deny", 'behind-within-limit = "deny"'),
    ('max_commits_behind = 0\ngrace_period = "1h"', "warn", "warn", "within-grace"),
    ('max_drift_age = "off"', "deny", "deny", "too-many-commits-behind"),
    ("max_commits_behind = 1000000", "deny", "deny", "drift-too-old"),
    ("max_drift_age = 0", "deny", "deny", "drift-too-old"),
    ('max_drift_age = "30d"\ngrace_period = "60d"', "deny", "deny", "drift-too-old"),
]
#: No warning, nothing enforced, a failure policy, a reason that counts for nothing, a grace period.
KEPT = [POLICIES[number] for number in (0, 1, 4, 9, 11)]


@pytest.mark.parametrize(
    ("policy", "case", "decision", "words"),
    light(POLICIES, KEPT),
)
def test_what_a_policy_makes_of_a_case_is_expected_seen_and_said(
    world: World, policy: str, case: str, decision: str, words: str
) -> None:
    """The expectation comes from the policy; what is unusual is named; the whole passes."""
    seen = rounds(world, policy)
    one = next(each for each in seen if each.case == case)
    assert (one.seen.decision, words in str(one)) == (decision, True), str(one)
    assert all(each.passed for each in seen), [str(each) for each in seen]


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(
            'reasons = {too-many-commits-behind = "allow", drift-too-old = "allow"}', marks=pytest.mark.heavy
        ),
        'reasons = {too-many-commits-behind = "warn", drift-too-old = "warn"}',
        'max_commits_behind = 1000000\nmax_drift_age = "off"',
        pytest.param('max_commits_behind = 1000000\nmax_drift_age = "36500d"', marks=pytest.mark.heavy),
    ],
)
def test_a_policy_that_denies_no_drift_fails(
    world: World, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gate that could refuse nothing is none: exit 1, the case and the key that did it."""
    failed = [each for each in rounds(world, policy) if not each.passed]
    assert [each.case for each in failed] == ["deny"]
    assert "no drift is ever refused" in str(failed[0])
    assert "this policy leaves no deny here" in str(failed[0])
    monkeypatch.chdir(world.folder)
    assert main.main(["selftest"]) == 1
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("decision", "failing"),
    [("allow", {"warn", "deny", "unknown"}), ("deny", {"allow", "warn"})],
)
def test_a_gate_that_always_says_the_same_is_caught(
    world: World, monkeypatch: pytest.MonkeyPatch, decision: str, failing: set[str]
) -> None:
    """A broken judge, policy untouched: each case with another expectation fails."""
    true = checks.check

    def broken(**given: object) -> Outcome:
        outcome = true(**given)  # type: ignore[arg-type]  # passed on as it came
        judged = [each.model_copy(update={"decision": decision}) for each in outcome.services]
        return outcome.model_copy(update={"services": tuple(judged)})

    monkeypatch.setattr(checks, "check", broken)  # no policy and no input makes the judge itself lie
    seen = rounds(world)
    assert {each.case for each in seen if not each.passed} == failing
    assert {each.case for each in seen if str(each).startswith("expected ")} == failing


def test_each_service_is_tested_by_its_own_policy(world: World) -> None:
    """An override in one table counts for that service alone; a kind and its labels are kept."""
    world.toml += """
        [services.trainer]
        kind = "job"
        max_commits_behind = 0
        commit_labels = ["built-from"]
        required_env = ["MODEL_PATH"]
        [services.pool]
        kind = "worker-pool"
        live = "ledger"
        """.replace('live = "ledger"', 'target_ref = "v7"')
    seen = list(selftest.run(settings=world.settings()))
    assert {each.service for each in seen} == {WORKER, "trainer", "pool"}
    assert all(each.passed for each in seen), [str(each) for each in seen]
    of_job = {each.case: each for each in seen if each.service == "trainer"}
    assert (of_job["warn"].seen.decision, of_job["warn"].seen.report.kind) == ("deny", "job")
    carriers = {claim.key for claim in of_job["allow"].seen.report.live[0].evidence}
    assert "built-from" in carriers


def test_nothing_of_the_users_is_asked_or_written(world: World) -> None:
    """Their Cloud Run gets no call, their repository and decisions no change."""
    world.toml += '\n[journal]\nstore = "journal.sqlite"\n'
    settings = world.settings()
    before = sorted(path.stat().st_mtime_ns for path in world.folder.rglob("*"))
    assert all(each.passed for each in selftest.run([WORKER], settings=settings))
    assert sorted(path.stat().st_mtime_ns for path in world.folder.rglob("*")) == before
    assert world.cloud.calls == []


def test_on_the_command_line(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 and four lines; a service that is not declared is 2."""
    world.settings()
    monkeypatch.chdir(world.folder)
    assert main.main(["selftest", WORKER]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["ok", f"{WORKER}:", case] for case in ("allow", "warn", "deny", "unknown")
    ]
    assert main.main(["selftest", "prediction-workr"]) == 2


def test_without_git_it_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throw-away repository cannot be made: an error of the gate, no pass and no traceback."""
    settings = world.settings()
    monkeypatch.setenv("PATH", str(world.folder))
    with pytest.raises(DriftCheckError, match="needs git on the PATH"):
        list(selftest.run(settings=settings))
    with pytest.raises(DriftConfigError, match="did you mean"):
        list(selftest.run(["prediction-workr"], settings=settings))
