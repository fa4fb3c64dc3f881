"""Freeze windows: times in which nobody is to deploy, so that drift is no news. Pure.

A freeze changes no decision: what lacks a commit lacks it, and a batch on it is refused as ever. It is noted
in the verdict, so that a refusal names it and nobody is woken for what was agreed upon.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, create_model, model_validator

from drift_gate.facts import Fact
from drift_gate.policy.verdict import Reason, Verdict
from drift_gate.runtime.values import LocalMoment, OneOrMore, Texts, clock_time, time_zone

#: The reason code of the note.
CODE = "freeze"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = timedelta(days=7)


_TimeOfWeek = Annotated[
    str,
    Field(
        pattern=rf"^\s*({'|'.join(_DAYS)})\s+([01][0-9]|2[0-3]):[0-5][0-9]\s*$",
        title='a time of the week such as "fri 16:00"',
    ),
]


def _time_of_week(text: str) -> timedelta:
    """``fri 16:00`` as the time since the Monday before."""
    day, clock = text.split()
    return timedelta(days=_DAYS.index(day)) + clock_time(clock)


def _weekly(on: tuple[str, ...]) -> tuple[str, ...]:
    times = [_time_of_week(each) for each in on]
    if len(times) not in (0, 2) or len(set(times)) != len(times):
        raise ValueError('a weekly freeze has a begin and an end, such as ["fri 16:00", "mon 07:00"]')
    return on


def _zone(name: str) -> str:
    time_zone(name)
    return name


class _Window(Fact):
    """All of a freeze but the key ``from``, a word that Python keeps for itself.

    ``until``, and ``on`` in place of both: its begin and its end in each week. What names no zone is in
    ``time_zone``. ``services`` are those that it is for; none: all. ``reason`` says why.
    """

    until: LocalMoment | None = None
    on: Annotated[
        tuple[_TimeOfWeek, ...],
        OneOrMore(),
        AfterValidator(_weekly),
        Field(title="a list of two times of the week", examples=[["fri 16:00", "mon 07:00"]]),
    ] = ()
    time_zone: Annotated[
        str, AfterValidator(_zone), Field(title="a time zone", examples=["America/Los_Angeles"])
    ] = "UTC"
    services: Texts = ()
    reason: Annotated[str, Field(pattern=r"\S", title="a text that says why")]

    @model_validator(mode="after")
    def _ended(self) -> _Window:
        ends = [self["from"], self.until]
        if self.on and any(ends):
            raise ValueError("a freeze is weekly (on) or has one begin and end (from, until), not both")
        if not self.on and not all(ends):
            raise ValueError("a freeze has an end: give from and until, or on for one in each week")
        if all(ends) and self._moment("from") >= self._moment("until"):
            raise ValueError("it ends before it begins")
        return self

    def ends(self, now: datetime) -> datetime | None:
        """When this freeze ends (UTC), where it is on at ``now``; None: it is not."""
        if not self.on:
            return self._moment("until") if self._moment("from") <= now < self._moment("until") else None
        begin, end = (_time_of_week(each) for each in self.on)
        shown = now.astimezone(time_zone(self.time_zone)).replace(tzinfo=None)
        monday = datetime.combine(shown.date() - timedelta(days=shown.weekday()), time())
        for week in (monday - _WEEK, monday):
            until = week + begin + (end - begin) % _WEEK
            if week + begin <= shown < until:
                return until.replace(tzinfo=time_zone(self.time_zone)).astimezone(UTC)
        return None

    def covers(self, service: str) -> bool:
        """Whether it is for ``service``."""
        return not self.services or service in self.services

    def _moment(self, key: str) -> datetime:
        written: datetime = self[key]
        zoned = written if written.tzinfo else written.replace(tzinfo=time_zone(self.time_zone))
        return zoned.astimezone(UTC)


if TYPE_CHECKING:
    Freeze = _Window
else:
    Freeze = create_model(
        "Freeze",
        __base__=_Window,
        __module__=__name__,
        __doc__="``[[freeze]]``: a window with its begin.",
        **{"from": (LocalMoment | None, None)},
    )


def noted(verdict: Verdict, freezes: Iterable[Freeze], now: datetime) -> Verdict:
    """``verdict`` with a note of the freeze that is on for its service at ``now``, of several the longest."""
    on = [(ends, each) for each in freezes if each.covers(verdict.service) and (ends := each.ends(now))]
    if not on:
        return verdict
    until, freeze = max(on, key=lambda each: each[0])
    note = Reason(
        code=CODE,
        decision="allow",
        message=f"a freeze is on until {until:%Y-%m-%d %H:%M} UTC: {freeze.reason}",
        data={"until": until.isoformat(), "reason": freeze.reason},
    )
    return verdict.model_copy(update={"reasons": (*verdict.reasons, note)})
