"""Acknowledgements: a denial that somebody takes on by name until a time. Pure.

One is bound to a live commit and to reason codes. It ends at its time, when another commit is live, or
when something else denies as well; how many commits are missing may grow. It can never cover an
unknown: what nobody knows, nobody can vouch for (``failure_policy`` and the bypass are for that).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from shared.deployment.errors import DriftCheckError, DriftConfigError
from shared.deployment.facts import Fact
from shared.deployment.reasons import REASONS
from shared.deployment.report import DriftReport
from shared.deployment.values import moment, near_misses
from shared.deployment.verdict import Reason, Verdict

#: The word for ``not_enforced_because``.
BECAUSE = "acknowledged"
_UNKNOWN = "unknown-drift"


def _known(codes: tuple[str, ...]) -> tuple[str, ...]:
    for code in codes:
        if code == _UNKNOWN:
            raise ValueError(f"{_UNKNOWN} cannot be acknowledged: nobody can vouch for what nobody knows")
        if code not in REASONS:
            raise ValueError(f"no reason code {code!r}{near_misses(code, REASONS)}")
    return codes


class Acknowledgement(Fact):
    """``[[acknowledged]]``: for ``service``, while ``live_commit`` is live, ``codes`` refuse nothing.

    ``live_commit`` is a full commit id. ``reason`` says why, for those who read the verdict. ``until``
    (UTC where it names no zone; a date is its first moment) is when it ends.
    """

    service: Annotated[str, Field(min_length=1)]
    live_commit: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
    codes: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known)]
    reason: Annotated[str, Field(pattern=r"\S")]
    until: Annotated[datetime, BeforeValidator(moment)]

    def covers(self, code: str, commit: str | None) -> bool:
        """Whether this takes on ``code`` for a revision that runs ``commit`` (None: nobody knows which)."""
        return code in self.codes and commit == self.live_commit


def applied(verdict: Verdict, told: Iterable[Acknowledgement], now: datetime) -> Verdict:
    """``verdict``, not enforced where each of its denials is acknowledged at ``now``; else as it is.

    The decision stays. Each denial that is covered says by what: in its message, and in its data under
    ``acknowledged``.
    """
    if not verdict.refuses:
        return verdict
    holding = [each for each in told if each.service == verdict.service and now < each.until]
    reasons = []
    for reason in verdict.reasons:
        covered = _cover(reason, verdict.report, holding) if reason.decision == "deny" else []
        if reason.decision == "deny" and not covered:
            return verdict
        reasons.append(_noted(reason, covered))
    return verdict.model_copy(
        update={"enforced": False, "not_enforced_because": BECAUSE, "reasons": tuple(reasons)}
    )


def may_cover(verdict: Verdict) -> bool:
    """Whether an acknowledgement could lift this refusal: never one that comes from not knowing."""
    denied = (reason.code for reason in verdict.reasons if reason.decision == "deny")
    return verdict.refuses and _UNKNOWN not in denied


def _cover(reason: Reason, report: DriftReport, holding: Sequence[Acknowledgement]) -> list[Acknowledgement]:
    """One acknowledgement for each commit that ``reason`` speaks of; none at all where one lacks it."""
    covers = []
    for commit in _commits(reason, report):
        ours = [each for each in holding if each.covers(reason.code, commit)]
        if not ours:
            return []
        covers.append(max(ours, key=lambda each: each.until))
    return covers


def _commits(reason: Reason, report: DriftReport) -> dict[str | None, None]:
    """The live commits that ``reason`` speaks of, each once; None for one that nobody knows.

    A reason about the whole workload speaks of all that serves and is not current.
    """
    revision = reason.data.get("revision")
    own = [live for live in report.live if revision is not None and live.revision == revision]
    stale = [live for live in report.live if live.status != "identical"]
    return dict.fromkeys(live.commit for live in own or stale or report.live)


def _noted(reason: Reason, covered: Sequence[Acknowledgement]) -> Reason:
    if not covered:
        return reason
    words = "; ".join(
        f"{BECAUSE} until {each.until.isoformat(' ', 'minutes')}: {each.reason}" for each in covered
    )
    notes = [
        {"live_commit": each.live_commit, "reason": each.reason, "until": each.until.isoformat()}
        for each in covered
    ]
    update = {"message": f"{reason.message}; {words}", "data": reason.data | {BECAUSE: notes}}
    return reason.model_copy(update=update)


class Read(NamedTuple):
    """The acknowledgements of a file, and what is wrong with the others (one sentence each)."""

    acknowledged: tuple[Acknowledgement, ...] = ()
    complaints: tuple[str, ...] = ()


def read(content: bytes) -> Read:
    """What a ``drift.toml`` acknowledges. One that is wrong holds nothing, and takes no other with it.

    For the file of another commit: nobody who reads the complaints can mend it at once.
    """
    try:
        tables = tomllib.loads(content.decode("utf-8")).get("acknowledged", [])
    except (ValueError, RecursionError) as error:
        return Read((), (f"no valid TOML: {error}",))
    if not isinstance(tables, list):
        return Read((), ("acknowledged must be a list of tables, [[acknowledged]]",))
    found, complaints = [], []
    for number, table in enumerate(tables, 1):
        try:
            found.append(Acknowledgement.model_validate(table))
        except ValidationError as error:
            first = error.errors()[0]
            key = f" {first['loc'][0]!r}" if first["loc"] else ""
            complaints.append(f"[[acknowledged]] {number}{key}: {first['msg']}")
    return Read(tuple(found), tuple(complaints))


def ending(text: str, now: datetime) -> datetime:
    """The end that a person asked for; raises ``DriftConfigError`` where it is no time or past."""
    try:
        until = moment(text)
    except ValueError as error:
        raise DriftConfigError(f"--until: {error}") from error
    if not isinstance(until, datetime) or until <= now:
        raise DriftConfigError(f"--until {text}: is past; an acknowledgement ends in the future")
    return until


def tables(verdict: Verdict, until: datetime, reason: str) -> str:
    """The ``[[acknowledged]]`` tables that cover what ``verdict`` denies; empty where it denies nothing.

    Raises ``DriftCheckError`` where something is denied because it could not be determined.
    """
    unknown = verdict.report.unknown
    by_commit: dict[str, list[str]] = {}
    for denial in (each for each in verdict.reasons if each.decision == "deny"):
        commits = _commits(denial, verdict.report)
        for commit in commits or {None: None}:
            if commit is None or denial.code == _UNKNOWN:
                cause = unknown.cause if unknown else "no-commit-evidence"
                sentence = f"{verdict.service}: {denial.code} cannot be acknowledged: {denial.message}"
                raise DriftCheckError(sentence, cause, bool(unknown and unknown.retryable), verdict.report)
            by_commit.setdefault(commit, []).append(denial.code)
    return "\n".join(
        _table(verdict.service, commit, dict.fromkeys(codes), until, reason)
        for commit, codes in by_commit.items()
    )


def _table(service: str, commit: str, codes: Collection[str], until: datetime, reason: str) -> str:
    quoted = ", ".join(map(_quoted, codes))
    return (
        "[[acknowledged]]\n"
        f"service = {_quoted(service)}\n"
        f"live_commit = {_quoted(commit)}\n"
        f"codes = [{quoted}]\n"
        f"reason = {_quoted(reason)}\n"
        f"until = {until.isoformat()}\n"
    )


def _quoted(text: str) -> str:
    """``text`` as TOML: JSON's escapes are TOML's too, for what can be printed."""
    return json.dumps("".join(char if char.isprintable() else " " for char in text), ensure_ascii=False)
