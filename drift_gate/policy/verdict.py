"""The policy's judgement of a report: allow, warn or deny, with reasons. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, SerializeAsAny

from drift_gate.comparison.report import DriftReport, LiveReport
from drift_gate.comparison.tally import DatedBy
from drift_gate.errors import Cause
from drift_gate.facts import Fact, Finding, Text, Unknown
from drift_gate.policy.codes import DECISIONS, REASONS, Decision

FailurePolicy = Literal["fail", "ignore"]
Enforcement = Literal["deny", "warn"]
Severity = Literal["info", "warning", "critical"]

_HOUR = 3600
#: Grades for people, DESIGN's: what one release train leaves behind is news, half a day is an incident.
_WARNING_COMMITS, _CRITICAL_COMMITS = 3, 6
_WARNING_AGE_S, _CRITICAL_AGE_S = 6 * _HOUR, 12 * _HOUR
#: From the mildest to the worst; None is less than any.
SEVERITIES: tuple[Severity | None, ...] = (None, "info", "warning", "critical")
#: How many of the paths that no commit accounts for a sentence names.
_NAMED_PATHS = 5
#: These two deny only where what serves lacks something relevant; else the failure harmed nobody yet.
_DENY_ONLY_WITH_DRIFT = frozenset({"rollout-failed", "traffic-pinned"})


class Policy(Fact):
    """What is tolerated.

    ``max_commits_behind``: how many relevant commits may be missing. ``max_drift_age``: for how many
    seconds; None: for ever. ``grace_period``: commits that landed less than so many seconds ago are
    shown and count for nothing: a deploy takes minutes. ``deny_paths``, ``warn_paths`` (gitignore
    patterns over relevant paths) and ``deny_subjects`` (regular expressions): one older missing commit
    that matches decides, whatever the count. ``failure_policy``: whether an unknown denies (``fail``)
    or only warns (``ignore``); by cause where it is a mapping, with ``default`` for the causes that it
    does not name, which fail where it has no ``default`` either. ``enforcement``: ``warn`` judges as
    ever and refuses nothing. ``enforce_from`` (with a time zone): nothing is refused before it; None: no
    such time. ``reasons`` sets the decision of single reason codes.
    """

    max_commits_behind: int = 3
    max_drift_age: float | None = 12 * _HOUR
    grace_period: float = 0.0
    deny_paths: tuple[str, ...] = ()
    warn_paths: tuple[str, ...] = ()
    deny_subjects: tuple[str, ...] = ()
    failure_policy: FailurePolicy | Mapping[str, FailurePolicy] = "fail"
    enforcement: Enforcement = "deny"
    enforce_from: datetime | None = None
    reasons: Mapping[str, Decision] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Twelve hex digits that differ when a policy differs."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def on_unknown(self, cause: Cause) -> Decision:
        """What an unknown of this cause decides."""
        told = self.failure_policy
        word = told if isinstance(told, str) else told.get(cause, told.get("default", "fail"))
        return "deny" if word == "fail" else "warn"

    def lenient_because(self, now: datetime) -> str | None:
        """Why nothing is refused at ``now``: the word for ``not_enforced_because``; None: denials hold.

        ``enforcement = "warn"`` outlasts ``enforce_from``: who softened the gate by hand still means it.
        """
        if self.enforcement == "warn":
            return "enforcement"
        return "enforce-from" if self.enforce_from is not None and now < self.enforce_from else None


class JudgedBy(Fact):
    """The policy that judged: its ``file``, twelve hex digits that differ when it differs (``hash``), and the
    ``DRIFT_…`` variables that stood before the file (``overrides``), by name with their values."""

    file: Text
    hash: str
    overrides: Mapping[str, Text] = Field(default_factory=dict)


class Reason(Fact):
    """One reason code with what it decides here, and a sentence for a person."""

    code: str
    decision: Decision
    message: Text
    data: dict[str, Any] = Field(default_factory=dict)


class BreakGlass(Fact):
    """A bypass as an event: who, why, when, until when, by which means, and what it overrode.

    ``reason`` None: none was given. ``until`` None: for this start only, or without an end.
    ``overrode`` are the reason codes that would have denied.
    """

    actor: Text
    reason: Text | None
    at: datetime
    until: datetime | None
    via: str
    overrode: tuple[str, ...] = ()


class Verdict(Fact):
    """The judgement of one report.

    ``decision`` is always the policy's true judgement. ``enforced`` says whether it holds, and
    ``not_enforced_because`` (``break-glass``, ``enforcement`` or ``enforce-from``) why not.
    ``severity`` grades the drift for people; None when identical. ``policy``: what judged; None: what is
    built in, as there was no file to read.
    """

    service: str
    decision: Decision
    enforced: bool
    not_enforced_because: str | None = None
    severity: Severity | None = None
    reasons: tuple[Reason, ...] = ()
    break_glass: BreakGlass | None = None
    policy: JudgedBy | None = None
    report: SerializeAsAny[DriftReport]

    @property
    def refuses(self) -> bool:
        """Whether a batch must not start."""
        return self.decision == "deny" and self.enforced

    @property
    def refuses_unknown(self) -> bool:
        """Whether the refusal comes from not knowing alone."""
        return self.refuses and all(
            reason.code == "unknown-drift" for reason in self.reasons if reason.decision == "deny"
        )

    @property
    def denials(self) -> tuple[str, ...]:
        """The codes that deny, each once; none where nobody knows which commit would be judged."""
        denying = [reason for reason in self.reasons if reason.decision == "deny"]
        if all(reason.data.get("cause") == "no-commit-evidence" for reason in denying):
            return ()
        return tuple(dict.fromkeys(reason.code for reason in denying))

    def bypassed(self, break_glass: BreakGlass) -> Verdict:
        """The same judgement, not enforced, with the bypass on record."""
        overrode = tuple(reason.code for reason in self.reasons if reason.decision == "deny")
        return self.model_copy(
            update={
                "enforced": False,
                "not_enforced_because": "break-glass",
                "break_glass": break_glass.model_copy(update={"overrode": overrode}),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The batch that the caller is about to start, and how it would start it again once it was refused.

    ``date``: the date that the batch is for; None: not known. ``batch``: the id that it has, or will have,
    for the journal; None: not known. ``dry_run``: whether nothing is started, whatever the verdict.
    ``again``: the line that starts it again, and ``bypass`` the one that starts it past the gate, both ready
    to paste; None: the caller knows of none. ``drift.toml`` has the last word on both.
    """

    date: date | None = None
    batch: str | None = None
    dry_run: bool = False
    again: str | None = None
    bypass: str | None = None


#: A caller that says nothing of itself.
NO_START = Start()


class Outcome(Fact):
    """What one check came to, as ``deployment-drift check --format json`` prints it."""

    schema_version: int = 1
    checked_at: datetime
    elapsed_ms: int
    decision: Decision
    services: tuple[Verdict, ...]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], checked_at: datetime, elapsed_ms: int) -> Outcome:
        """The worst decision stands for the whole. At least one verdict: nothing checked is no pass."""
        decision = max((verdict.decision for verdict in verdicts), key=DECISIONS.index)
        return cls(checked_at=checked_at, elapsed_ms=elapsed_ms, decision=decision, services=tuple(verdicts))

    @property
    def exit_code(self) -> int:
        """0: nothing is refused; 1: known drift is; 3: only what could not be determined is."""
        refused = [verdict for verdict in self.services if verdict.refuses]
        if not refused:
            return 0
        return 3 if all(verdict.refuses_unknown for verdict in refused) else 1


def judge(report: DriftReport, policy: Policy, now: datetime) -> Verdict:
    """What ``policy`` says of ``report`` at ``now`` (UTC).

    1. Each live revision is judged by itself, each finding by its code, an unknown by the failure policy.
    2. The policy's own word on a code replaces the default one (never for an unknown).
    3. The worst reason decides.
    4. Whether that holds is a question of enforcement, and of the time.
    """
    reasons = [*_unknowns(report, policy)]
    for code, message, data in [*_drift(report, policy), *_findings(report.findings)]:
        decided = _decide(code, data, report, policy)
        reasons.append(Reason(code=code, decision=decided, message=message, data=data))
    reasons.sort(key=lambda reason: -DECISIONS.index(reason.decision))
    decision: Decision = reasons[0].decision if reasons else "allow"
    lenient = policy.lenient_because(now)
    return Verdict(
        service=report.service,
        decision=decision,
        enforced=lenient is None,
        not_enforced_because=lenient,
        severity=_severity(report, decision),
        reasons=tuple(reasons),
        report=report,
    )


_Finding = tuple[str, str, dict[str, Any]]


def _decide(code: str, data: Mapping[str, Any], report: DriftReport, policy: Policy) -> Decision:
    if code in policy.reasons:
        return policy.reasons[code]
    if data.get("would_deny"):
        return "deny"
    if code in _DENY_ONLY_WITH_DRIFT and report.status == "identical":
        return "warn"
    return REASONS[code].decision


def _unknowns(report: DriftReport, policy: Policy) -> Iterator[Reason]:
    """One reason per cause and revision; the decision is the failure policy's alone."""
    each = [(live.called, live.revision, live.unknown) for live in report.live if live.unknown]
    whole = [("", None, report.unknown)] if report.unknown else []
    told: set[Unknown] = set()
    for name, revision, unknown in each or whole:
        if unknown in told:
            continue
        told.add(unknown)
        where = f"{name}: " if name else ""
        data = {"cause": unknown.cause, "retryable": unknown.retryable, "revision": revision}
        yield Reason(
            code="unknown-drift",
            decision=policy.on_unknown(unknown.cause),
            message=where + unknown.message,
            data=data,
        )


def _findings(findings: Iterable[Finding]) -> Iterator[_Finding]:
    for finding in findings:
        yield finding.code, finding.message, dict(finding.data)


def _drift(report: DriftReport, policy: Policy) -> Iterator[_Finding]:
    """What the numbers of each live revision say."""
    target = report.target.commit if report.target else ""
    for live in report.live:
        if live.unknown is None:
            where = f"{live.called}: " if live.called and len(report.live) > 1 else ""
            for code, message, data in _drift_of(live, policy, target):
                yield code, where + message, data | {"revision": live.revision}


def _drift_of(live: LiveReport, policy: Policy, target: str) -> Iterator[_Finding]:
    behind, ahead = live.commits_behind or 0, live.commits_ahead or 0
    if behind:
        yield from _behind(behind, live, policy)
    if behind and ahead:
        yield (
            "diverged",
            f"{_commits(behind)} missing, {_commits(ahead)} of its own",
            {"commits_behind": behind, "commits_ahead": ahead},
        )
    elif ahead:
        yield "ahead", f"{_commits(ahead)} live that the target lacks", {"commits_ahead": ahead}
    if live.unaccounted_count:
        yield _unaccounted(live)
    if live.status == "identical" and live.commit != target:
        yield (
            "content-identical",
            "another commit, the same relevant files",
            {"commits_neutral": live.commits_neutral},
        )


def _unaccounted(live: LiveReport) -> _Finding:
    count, named = live.unaccounted_count, ", ".join(live.unaccounted[:_NAMED_PATHS])
    return (
        "content-differs",
        f"{count:,} relevant file{' differs' if count == 1 else 's differ'} though no commit that counts, on "
        f"either side, accounts for it: {named}{', …' if count > _NAMED_PATHS else ''}",
        {"paths": list(live.unaccounted), "paths_unaccounted": count},
    )


def _behind(behind: int, live: LiveReport, policy: Policy) -> Iterator[_Finding]:
    young, age = live.commits_within_grace or 0, live.drift_age_s
    counted, dated_by = behind - young, {"dated_by": live.dated_by} if live.dated_by else {}
    too_many = counted > policy.max_commits_behind
    # The age is that of the oldest commit: where all are within the grace period, it is too.
    dated = counted > 0 and age is not None
    too_old = dated and policy.max_drift_age is not None and (age or 0) > policy.max_drift_age
    if too_many:
        yield (
            "too-many-commits-behind",
            f"{_commits(counted)} behind{_graced(young)}, more than {policy.max_commits_behind} allowed",
            {"commits_behind": counted, "max_commits_behind": policy.max_commits_behind},
        )
    if too_old:
        yield (
            "drift-too-old",
            f"behind for {duration(age or 0)}, longer than {duration(policy.max_drift_age or 0)} allowed"
            + _DATED_BY[live.dated_by],
            {"drift_age_s": age, "max_drift_age": policy.max_drift_age} | dated_by,
        )
    if not too_many and not too_old:
        yield (
            "behind-within-limit",
            f"{_commits(counted)} behind{_graced(young)}, {policy.max_commits_behind} allowed"
            + _DATED_BY[live.dated_by],
            {"commits_behind": behind, "max_commits_behind": policy.max_commits_behind} | dated_by,
        )
    if young:
        yield (
            "within-grace",
            f"{_commits(young)} landed less than {duration(policy.grace_period)} ago, not counted",
            {"commits_within_grace": young, "grace_period": policy.grace_period},
        )


#: What is said of the date that a drift counts from. None: there is none.
_DATED_BY: Mapping[DatedBy | None, str] = {
    None: "",
    "landing": "",
    "confirmation": "; counted from when this gate last saw the target without it, as the commits are older",
}


def _graced(young: int) -> str:
    return f" beside {young:,} within the grace period" if young else ""


def _severity(report: DriftReport, decision: Decision) -> Severity | None:
    grades = [_grade(live) for live in report.live] + ["critical" if report.unknown else None]
    if decision == "deny":
        grades.append("warning")
    return max(grades, key=SEVERITIES.index)


def _grade(live: LiveReport) -> Severity | None:
    behind, age = live.commits_behind or 0, live.drift_age_s or 0
    if live.unknown or behind >= _CRITICAL_COMMITS or age > _CRITICAL_AGE_S:
        return "critical"
    if live.unaccounted_count:
        return "critical"
    if behind >= _WARNING_COMMITS or age >= _WARNING_AGE_S:
        return "warning"
    return None if live.status == "identical" else "info"


def _commits(count: int) -> str:
    return f"{count:,} relevant commit{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """``seconds`` as a person says it, in the two largest units: ``8 h 22 min``, ``3 d 4 h``, ``45 s``."""
    left = int(seconds)
    parts = []
    for size, unit in ((86_400, "d"), (_HOUR, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append((size, f"{count} {unit}"))
    shown = [text for size, text in parts if parts[0][0] < _HOUR or size >= 60][:2]
    return " ".join(shown) or "0 s"
