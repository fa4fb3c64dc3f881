"""What the checks saw, judged: allow, warn or deny, with reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

from pydantic import Field

from drift_gate.errors import Cause, SourceError
from drift_gate.facts import Fact, Finding, Unknown
from drift_gate.policy.codes import DECISIONS, Decision
from drift_gate.policy.verdict import BreakGlass, Enforcement, FailurePolicy, Reason
from predictions.coordinator.readiness.facts import Check, History, Phase, Seen, Unit
from predictions.coordinator.readiness.reasons import REASONS, UNJUDGED, UNKNOWN
from predictions.coordinator.readiness.thresholds import Bounds, bounds, findings

#: What a check came to: the numbers that it saw, or why it saw none.
Looked = Sequence[Seen] | SourceError


class Policy(Fact):
    """What is tolerated.

    ``failure_policy``: whether an unknown denies (``fail``) or only warns (``ignore``); by cause where it
    is a mapping, as in the drift gate's policy. ``enforcement``: ``warn`` judges as ever and refuses
    nothing. ``reasons`` sets the decision of single reason codes.
    """

    failure_policy: FailurePolicy | Mapping[str, FailurePolicy] = "fail"
    enforcement: Enforcement = "deny"
    reasons: Mapping[str, Decision] = Field(default_factory=dict)

    def on_unknown(self, cause: Cause) -> Decision:
        """What an unknown of this cause decides."""
        told = self.failure_policy
        word = told if isinstance(told, str) else told.get(cause, told.get("default", "fail"))
        return "deny" if word == "fail" else "warn"


class Measure(Fact):
    """One number of a check: what it is, what would be normal (None: nobody can say), and its past."""

    label: str
    unit: Unit
    value: float | None
    detail: str
    normal: Bounds | None
    history: History | None


class CheckVerdict(Fact):
    """The judgement of one check. ``unknown`` says why it saw nothing; then ``measures`` is empty."""

    name: str
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    measures: tuple[Measure, ...] = ()
    unknown: Unknown | None = None


class Readiness(Fact):
    """The judgement of all checks of a phase.

    ``decision`` is always the true judgement; ``enforced`` says whether it holds, and
    ``not_enforced_because`` (``break-glass``, ``enforcement``) why not. ``other_phases`` names the checks
    that were not asked, since their question makes no sense now.
    """

    schema_version: int = 1
    checked_at: datetime
    elapsed_ms: int
    game_date: date
    phase: Phase
    decision: Decision
    enforced: bool
    not_enforced_because: str | None = None
    break_glass: BreakGlass | None = None
    checks: tuple[CheckVerdict, ...]
    other_phases: tuple[str, ...] = ()

    @property
    def denials(self) -> list[tuple[str, Reason]]:
        """Each reason that denies, with the name of its check."""
        return [
            (check.name, reason)
            for check in self.checks
            for reason in check.reasons
            if reason.decision == "deny"
        ]

    @property
    def refuses(self) -> bool:
        """Whether a batch must not start."""
        return self.decision == "deny" and self.enforced

    @property
    def refuses_unknown(self) -> bool:
        """Whether the refusal comes from not knowing alone."""
        return self.refuses and all(reason.code in UNJUDGED for _, reason in self.denials)

    @property
    def exit_code(self) -> int:
        """0: nothing is refused; 1: something is bad; 3: only what could not be judged refuses."""
        return 0 if not self.refuses else 3 if self.refuses_unknown else 1

    def bypassed(self, break_glass: BreakGlass) -> Readiness:
        """The same judgement, not enforced, with the bypass on record."""
        overrode = tuple(dict.fromkeys(reason.code for _, reason in self.denials))
        return self.model_copy(
            update={
                "enforced": False,
                "not_enforced_because": "break-glass",
                "break_glass": break_glass.model_copy(update={"overrode": overrode}),
            }
        )


def judge(check: Check, looked: Looked, policy: Policy) -> CheckVerdict:
    """What ``policy`` says of what ``check`` saw.

    The policy's word on a code replaces the default one; a check that only ``warns`` denies nothing, not
    by an unknown either. The worst reason decides.
    """
    if isinstance(looked, SourceError):
        unknown = Unknown.of(looked)
        reasons = [_unknown(unknown, policy)]
        measures: tuple[Measure, ...] = ()
    else:
        unknown = None
        reasons = [_reason(finding, policy) for finding in _findings(looked)]
        measures = tuple(map(_measure, looked))
    reasons = [_at_most(check.fails, reason) for reason in reasons]
    reasons.sort(key=lambda reason: -DECISIONS.index(reason.decision))
    return CheckVerdict(
        name=check.name,
        decision=worst(reason.decision for reason in reasons),
        reasons=tuple(reasons),
        measures=measures,
        unknown=unknown,
    )


def worst(decisions: Iterable[Decision]) -> Decision:
    """The worst of ``decisions``; none of them: allow."""
    return max(decisions, key=DECISIONS.index, default="allow")


def _findings(looked: Iterable[Seen]) -> Iterator[Finding]:
    for seen in looked:
        if seen.value is not None:
            for finding in findings(seen.value, seen.unit, seen.threshold, seen.history, seen.detail):
                yield _labelled(finding, seen.label)
        yield from seen.notes


def _labelled(finding: Finding, label: str) -> Finding:
    """``finding`` with what it speaks of, where a check has several numbers."""
    return finding.model_copy(update={"message": f"{label}: {finding.message}"}) if label else finding


def _reason(finding: Finding, policy: Policy) -> Reason:
    decision = policy.reasons.get(finding.code, REASONS[finding.code].decision)
    return Reason(code=finding.code, decision=decision, message=finding.message, data=dict(finding.data))


def _unknown(unknown: Unknown, policy: Policy) -> Reason:
    return Reason(
        code=UNKNOWN,
        decision=policy.on_unknown(unknown.cause),
        message=f"{unknown.cause}: {unknown.message}",
        data={"cause": unknown.cause, "retryable": unknown.retryable},
    )


def _at_most(decision: Decision, reason: Reason) -> Reason:
    if DECISIONS.index(reason.decision) <= DECISIONS.index(decision):
        return reason
    return reason.model_copy(update={"decision": decision})


def _measure(seen: Seen) -> Measure:
    return Measure(
        label=seen.label,
        unit=seen.unit,
        value=seen.value,
        detail=seen.detail,
        normal=bounds(seen.threshold, seen.history),
        history=seen.history,
    )
