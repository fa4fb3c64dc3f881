"""Does this gate, with this policy, still say allow, warn, deny and unknown where it should?

A throw-away repository and a loopback Cloud Run are judged by the installed configuration's own policy.
Nothing of the user's is asked, changed or written: only the policy is theirs.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from rich.text import Text

from drift_gate.errors import Cause, DriftCheckError
from drift_gate.policy.codes import DECISIONS, REASONS, Decision
from drift_gate.policy.verdict import Policy, Verdict
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.relevance.patterns import PathRules
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import (
    Batch,
    Inventory,
    JournalKeys,
    PolicyKeys,
    ServiceSettings,
    Sinks,
)
from drift_gate.settings.monitor import MonitorKeys
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.testing.history import Draft
from drift_gate.wiring import checks

Case = Literal["allow", "warn", "deny", "unknown"]

#: Where the throw-away world lies. `.test` is a name that never belongs to anybody.
PROJECT, REGION = "drift-gate-selftest", "selftest"
#: What the throw-away worker consists of; nobody's `deny_paths` is likely to name it.
FILE = "drift-gate-selftest/worker.txt"
SUBJECT = "drift-gate-selftest: a change"
#: The cause of the case `unknown`.
UNKNOWN: Cause = "no-commit-evidence"
#: More commits than this are not made to break a limit: then the age has to do it.
MOST_COMMITS = 2_000
#: How much older than its limits the drift of the case `deny` is.
MARGIN = timedelta(hours=1)
#: How far in the future the newest commit lies: its age is 0, however slow the machine.
AHEAD = timedelta(minutes=5)
#: Git counts the time from 1970; nothing can be older.
OLDEST = datetime(1971, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case has to come to under a policy: the decision, the codes behind it, and what is unusual."""

    decision: Decision
    codes: frozenset[str]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """One case of one service: what was expected and what was seen."""

    service: str
    case: Case
    expected: Expected
    seen: Verdict

    @property
    def passed(self) -> bool:
        """Whether decision, codes and what is known are as they must be; a lax policy never passes deny."""
        codes = {reason.code for reason in self.seen.reasons}
        known = (self.seen.report.status == "unknown") == (self.case == "unknown")
        lax = self.case == "deny" and self.seen.decision != "deny"
        return (
            known
            and not lax
            and self.seen.decision == self.expected.decision
            and self.expected.codes <= codes
        )

    def drawn(self) -> Text:
        """The round for a terminal."""
        word, style = ("ok", "green") if self.passed else ("FAIL", "bold red")
        return Text.assemble(
            (f"{word:4}", style), f" {self.service}: ", (f"{self.case:7}", "bold"), f" {self}"
        )

    def __str__(self) -> str:
        codes = (
            ", ".join(dict.fromkeys(reason.code for reason in self.seen.reasons)) or "no reason against it"
        )
        told = f"saw {self.seen.decision} ({codes})"
        if self.seen.decision != self.expected.decision:
            told = f"expected {self.expected.decision}, {told}"
        elif not self.passed and self.case != "deny":
            told = f"expected {', '.join(sorted(self.expected.codes)) or 'an answer'}, {told}"
        elif not self.passed:
            told = f"no drift is ever refused: {told}"
        if not self.seen.enforced:
            told += f"; judged, but not enforced ({why_not_enforced(self.seen.not_enforced_because)})"
        return "; ".join(filter(None, [told, self.expected.remark]))


def run(names: Sequence[str] = (), *, settings: Settings) -> Iterator[Round]:
    """The four cases of each service of ``names`` (none: all that are declared), one after the other.

    Raises ``DriftConfigError`` for a name that is not declared, and ``DriftCheckError`` where the
    throw-away world cannot be made.
    """
    chosen = {name: settings.service(name) for name in names} or settings.services
    for name, service in chosen.items():
        folder = tempfile.TemporaryDirectory(prefix="drift-gate-selftest-")
        with folder, FakeCloudRun(PROJECT, REGION) as cloud:
            yield from _rounds(name, service, settings, Path(folder.name), cloud)


@dataclass(frozen=True, slots=True)
class Drift:
    """How many commits are missing in a case, and how long ago they landed."""

    commits: int
    age: timedelta


def expected(case: Case, policy: Policy, drift: Drift) -> Expected:
    """What ``policy`` has to say of ``case``, read from its keys and not from the judge.

    ======== =================================== ==========================================
    case     facts                               decision
    ======== =================================== ==========================================
    allow    the target is live                  allow
    warn     one commit, just landed, is missing  warn; deny where the policy tolerates none
    deny     ``drift.commits`` old ones are      deny
    unknown  nothing names a commit              deny; warn with `failure_policy = "ignore"`
    ======== =================================== ==========================================
    """
    match case:
        case "allow":
            return Expected("allow", frozenset())
        case "unknown":
            return _of_unknown(policy)
        case "warn":
            return _of_drift(policy, Drift(1, timedelta()), "warn")
        case "deny":
            return _of_drift(policy, drift, "deny")


def _of_unknown(policy: Policy) -> Expected:
    told = policy.failure_policy
    word = told if isinstance(told, str) else told.get(UNKNOWN, told.get("default", "fail"))
    if word == "fail":
        return Expected("deny", frozenset({"unknown-drift"}))
    remark = f'failure_policy = "{word}" for {UNKNOWN}: what is not known stops no batch'
    return Expected("warn", frozenset({"unknown-drift"}), remark)


def _of_drift(policy: Policy, drift: Drift, asked: Decision) -> Expected:
    """The worst of the codes that so much drift has to raise, and why that is not ``asked``."""
    codes = _codes(policy, drift)
    decision = max((policy.reasons.get(code, REASONS[code].decision) for code in codes), key=DECISIONS.index)
    if decision == asked:
        return Expected(decision, frozenset(codes))
    keys = _keys(policy, codes)
    return Expected(decision, frozenset(codes), f"this policy leaves no {asked} here: {', '.join(keys)}")


def _codes(policy: Policy, drift: Drift) -> list[str]:
    """The reason codes that ``drift`` raises, by the policy's keys: docs/reference/codes.md as a function."""
    age = drift.age.total_seconds()
    counted = 0 if age < policy.grace_period else drift.commits
    raised = {
        "too-many-commits-behind": counted > policy.max_commits_behind,
        "drift-too-old": policy.max_drift_age is not None and age > policy.max_drift_age,
        "deny-path": counted and PathRules(policy.deny_paths).relevant(FILE),
        "warn-path": counted and PathRules(policy.warn_paths).relevant(FILE),
        "deny-subject": counted and any(re.search(each, SUBJECT) for each in policy.deny_subjects),
    }
    codes = [code for code, holds in raised.items() if holds]
    within = not raised["too-many-commits-behind"] and not raised["drift-too-old"]
    return [*codes, "behind-within-limit"] if within else codes


def _keys(policy: Policy, codes: Sequence[str]) -> list[str]:
    """The settings that decide on ``codes``, as they stand in the file."""
    overridden = [f'reasons.{code} = "{policy.reasons[code]}"' for code in codes if code in policy.reasons]
    age = "off" if policy.max_drift_age is None else f"{policy.max_drift_age:g} s"
    limits = {
        "too-many-commits-behind": f"max_commits_behind = {policy.max_commits_behind}",
        "drift-too-old": f"max_drift_age = {age}",
        "behind-within-limit": f"max_commits_behind = {policy.max_commits_behind}, max_drift_age = {age}",
        "deny-path": f"deny_paths = {list(policy.deny_paths)}",
        "deny-subject": f"deny_subjects = {list(policy.deny_subjects)}",
    }
    return overridden or [limits[code] for code in codes if code in limits]


def _denied_drift(policy: Policy, now: datetime) -> Drift:
    """A drift beyond every limit of ``policy`` that can be reached at all."""
    longest = max(policy.grace_period, policy.max_drift_age or 0)
    age = min(timedelta(seconds=longest) + MARGIN, now - OLDEST)
    commits = policy.max_commits_behind + 1
    return Drift(commits if commits <= MOST_COMMITS else 1, age)


@dataclass(frozen=True, slots=True)
class _World:
    """The commits of the throw-away repository: the target, and what runs in each case."""

    target: str
    one_behind: str
    far_behind: str


def _rounds(
    name: str, service: ServiceSettings, settings: Settings, folder: Path, cloud: FakeCloudRun
) -> Iterator[Round]:
    now = checks.utc_now()
    drift = _denied_drift(service.policy, now)
    world = _build(folder / "repository", drift, now)
    of_test = _settings(name, service, settings, folder, cloud)
    live: dict[Case, str | None] = {
        "allow": world.target,
        "warn": world.one_behind,
        "deny": world.far_behind,
        "unknown": None,
    }
    for case, commit in live.items():
        _deploy(cloud, name, service, commit)
        (verdict,) = checks.check(settings=of_test, record=False).services
        yield Round(name, case, expected(case, service.policy, drift), verdict)


def _build(folder: Path, drift: Drift, now: datetime) -> _World:
    """A line of commits: the start, ``drift.commits`` old ones, one that has just landed.

    The case `deny` lacks the old ones and the new one.
    """
    landed = now - drift.age
    old = [(f"{number}\n", landed) for number in range(1, drift.commits + 1)]
    drafts = [
        Draft(files={FILE: content}, subject=SUBJECT, when=when)
        for content, when in [("0\n", landed - MARGIN / 2), *old, ("now\n", now + AHEAD)]
    ]
    try:
        commits = HistoryBuilder(folder).commits(drafts)
    except (RuntimeError, OSError) as error:
        raise DriftCheckError(f"no throw-away repository: {error}", "history-unavailable") from error
    return _World(target=commits[-1], one_behind=commits[-2], far_behind=commits[0])


def _deploy(cloud: FakeCloudRun, name: str, service: ServiceSettings, commit: str | None) -> None:
    """Deploy ``commit`` (None: nothing that names one), stamped as this configuration looks for it."""
    labels = {} if commit is None else dict.fromkeys(service.commit_labels[:1], commit)
    cloud.deploy(name, kind=service.kind, commit=commit, labels=labels, service_labels={})


def _settings(
    name: str, service: ServiceSettings, settings: Settings, folder: Path, cloud: FakeCloudRun
) -> Settings:
    """The installed settings with everything that is not policy pointing at the throw-away world."""
    kept = (*PolicyKeys.model_fields, "kind", "deadline", "commit_labels", "commit_env")
    bare = ServiceSettings(
        project=PROJECT, region=REGION, repository=str(folder / "repository"), target_ref="main"
    )
    replaced = bare.model_copy(update={key: service[key] for key in kept})
    return settings.model_copy(
        update={
            "file": folder / settings.file.name,
            "services": {name: replaced},
            "batch": Batch(),
            "sinks": Sinks(),
            "journal": JournalKeys(store="off"),
            "monitor": MonitorKeys(),
            "inventory": Inventory(),
            "emulator": cloud.host,
        }
    )
