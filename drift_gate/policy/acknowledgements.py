"""Acknowledgements: a denial that somebody takes on by name until a time. Pure.

One is bound to a live commit, to reason codes, and to what each was given for: the pin and its value, the
path, the variable. It ends at its time, at most ``FURTHEST`` ahead, when another commit is live, or when
anything else denies as well; how many commits are missing may grow. It can never cover an unknown: what
nobody knows, nobody can vouch for (``failure_policy`` and the bypass are for that).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, ValidationError

from drift_gate.comparison.report import DriftReport
from drift_gate.errors import DriftCheckError, DriftConfigError
from drift_gate.facts import Fact
from drift_gate.policy.codes import REASONS
from drift_gate.policy.verdict import Reason, Verdict
from drift_gate.runtime.spelling import near_misses
from drift_gate.runtime.value_words import mistakes
from drift_gate.runtime.values import Moment, OneOrMore, moment

#: The word for ``not_enforced_because``.
BECAUSE = "acknowledged"
#: How far ahead one may end: what stands for longer is the policy, and belongs there.
FURTHEST = timedelta(days=90)
_UNKNOWN = "unknown-drift"
#: What a denial is for, beside its code and the live commit: keys of its data. A list is as many things as it
#: has words, all else is one. A code that is not here is for the live commit alone.
BOUND: Mapping[str, tuple[str, ...]] = {
    "content-differs": ("paths",),
    "deny-path": ("paths",),
    "deny-subject": ("rules",),
    "warn-path": ("paths",),
    "evidence-conflict": ("reason", "commits", "digests", "commit", "tag", "running", "tagged"),
    "content-mismatch": ("changed", "missing", "extra", "changed_since_start"),
    "image-incomplete": ("path",),
    "required-env-missing": ("missing",),
    "pin-mismatch": ("found",),
    "weak-evidence-disagrees": ("key", "value", "equals"),
    "service-label-disagrees": ("key", "value"),
    "evidence-unreachable": ("carrier", "cause", "unseen"),
    "path-matches-nothing": ("pattern",),
    "copy-not-in-git": ("source",),
    "computed-import": ("why",),
    "unparsed-module": ("path",),
    "closure-incomplete": ("loaded",),
    "base-image-floating": ("base_image",),
}


def _known(codes: tuple[str, ...]) -> tuple[str, ...]:
    for entry in codes:
        code = entry.partition(": ")[0]
        if code == _UNKNOWN:
            raise ValueError(f"{_UNKNOWN} cannot be acknowledged: nobody can vouch for what nobody knows")
        if code not in REASONS:
            raise ValueError(f"no reason code {code!r}{near_misses(code, REASONS)}")
    return codes


class Acknowledgement(Fact):
    """``[[acknowledged]]``: for ``service``, while ``live_commit`` is live, ``codes`` refuse nothing.

    ``codes``: a reason code, and after ``: `` what it is for, where it is for something (see ``BOUND``).
    ``live_commit`` is a full commit id. ``reason`` says why, for those who read the verdict. ``until``
    (UTC where it names no zone; a date is its first moment) is when it ends.
    """

    service: Annotated[str, Field(min_length=1)]
    live_commit: Annotated[
        str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$", title="a full commit id (40 or 64 hex digits)")
    ]
    codes: Annotated[tuple[str, ...], Field(min_length=1), OneOrMore(), AfterValidator(_known)]
    reason: Annotated[str, Field(pattern=r"\S", title="a text that says why")]
    until: Moment

    def covers(self, entry: str, commit: str | None) -> bool:
        """Whether this takes on ``entry`` for a revision that runs ``commit`` (None: nobody knows which)."""
        return entry in self.codes and commit == self.live_commit

    def too_far(self, now: datetime) -> bool:
        """Whether this ends further ahead of ``now`` than one may; it holds nothing until then."""
        return self.until - now > FURTHEST


def applied(verdict: Verdict, told: Iterable[Acknowledgement], now: datetime) -> Verdict:
    """``verdict``, not enforced where each of its denials is acknowledged at ``now``; else as it is.

    The decision stays. Each denial that is covered says by what: in its message, and in its data under
    ``acknowledged``.
    """
    if not verdict.refuses:
        return verdict
    holding = [each for each in _ours(verdict, told, now) if not each.too_far(now)]
    reasons = []
    for reason in verdict.reasons:
        covered = _cover(reason, verdict.report, holding) if reason.decision == "deny" else []
        if reason.decision == "deny" and not covered:
            return verdict
        reasons.append(_noted(reason, covered))
    return verdict.model_copy(
        update={"enforced": False, "not_enforced_because": BECAUSE, "reasons": tuple(reasons)}
    )


def complaints(verdict: Verdict, told: Iterable[Acknowledgement], now: datetime) -> Iterator[str]:
    """Of the acknowledgements of a ``verdict`` that is refused all the same: why they do not hold.

    A sentence each for an end that is too far ahead, and for a code that does not say what it is for.
    """
    denials = [each for each in verdict.reasons if each.decision == "deny"] if verdict.refuses else []
    for each in _ours(verdict, told, now) if denials else ():
        where = f"{verdict.service} is acknowledged for {each.live_commit[:12]}"
        if each.too_far(now):
            yield f"{where} until {each.until}, more than {FURTHEST.days} days ahead, and so not at all"
        for denial in denials:
            due = entries(denial)
            if denial.code not in due and each.covers(denial.code, each.live_commit):
                lines = ", ".join(map(_quoted, due))
                yield f"{where} with {denial.code}, which does not say what for; write codes = [{lines}]"


def _ours(verdict: Verdict, told: Iterable[Acknowledgement], now: datetime) -> list[Acknowledgement]:
    return [each for each in told if each.service == verdict.service and now < each.until]


def entries(reason: Reason) -> tuple[str, ...]:
    """``reason`` as ``codes`` has to name it: its code, or that with each thing that it is for."""
    about = tuple(f"{reason.code}: {_printable(each)}" for each in _things(reason))
    return about or (reason.code,)


def _things(reason: Reason) -> Iterator[str]:
    keys = BOUND.get(reason.code, ())
    held = {key: reason.data[key] for key in keys if reason.data.get(key) not in (None, [])}
    alone = {key: each for key, each in held.items() if not isinstance(each, list)}
    if alone:
        yield ", ".join(f"{key} {each}" if len(keys) > 1 else str(each) for key, each in alone.items())
    for key, listed in held.items():
        if isinstance(listed, list):
            yield from (f"{key} {each}" if len(keys) > 1 else str(each) for each in listed)


def _printable(text: str) -> str:
    r"""``text`` on one line, no two alike that differ: what cannot be printed, and ``\``, is escaped."""
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in text
    )


def may_cover(verdict: Verdict) -> bool:
    """Whether an acknowledgement could lift this refusal: never one that comes from not knowing."""
    denied = (reason.code for reason in verdict.reasons if reason.decision == "deny")
    return verdict.refuses and _UNKNOWN not in denied


def _cover(reason: Reason, report: DriftReport, holding: Sequence[Acknowledgement]) -> list[Acknowledgement]:
    """Those that take on all that ``reason`` is for, at each commit of which it speaks; else none at all."""
    covers: dict[Acknowledgement, None] = {}
    for commit, entry in product(_commits(reason, report), entries(reason)):
        ours = [each for each in holding if each.covers(entry, commit)]
        if not ours:
            return []
        covers[max(ours, key=lambda each: each.until)] = None
    return list(covers)


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
    found, wrong = [], []
    for number, table in enumerate(tables, 1):
        try:
            found.append(Acknowledgement.model_validate(table))
        except ValidationError as error:
            for path, sentence in mistakes(error, Acknowledgement).items():
                wrong.append(f"[[acknowledged]] {number}{''.join(f' {key!r}' for key in path)}: {sentence}")
    return Read(tuple(found), tuple(wrong))


def ending(text: str, now: datetime) -> datetime:
    """The end that a person asked for; ``DriftConfigError`` where it is no time, past or too far ahead."""
    try:
        until = moment(text)
    except ValueError as error:
        raise DriftConfigError(f"--until: {error}") from error
    if until <= now:
        raise DriftConfigError(f"--until {text}: is past; an acknowledgement ends in the future")
    if until - now > FURTHEST:
        raise DriftConfigError(
            f"--until {text}: is more than {FURTHEST.days} days ahead, the furthest it may be"
        )
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
            by_commit.setdefault(commit, []).extend(entries(denial))
    return "\n".join(
        _table(verdict.service, commit, dict.fromkeys(codes), until, reason)
        for commit, codes in by_commit.items()
    )


#: What a rollback denies sooner or later, as what is missing grows older and more.
_OF_A_ROLLBACK = ("traffic-pinned", "too-many-commits-behind", "drift-too-old")


def tables_of_rollback(verdict: Verdict, until: datetime, reason: str) -> str:
    """The same for what a rollback has made live on purpose: for what is denied now, and will be later.

    Raises ``DriftCheckError`` where nobody knows what is live.
    """
    tables(verdict, until, reason)  # nobody can vouch for what nobody knows
    denied = [each for each in verdict.reasons if each.decision == "deny"]
    codes = dict.fromkeys([*_OF_A_ROLLBACK, *(entry for each in denied for entry in entries(each))])
    commits = dict.fromkeys(live.commit for live in verdict.report.live if live.commit)
    return "\n".join(_table(verdict.service, commit, codes, until, reason) for commit in commits)


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
