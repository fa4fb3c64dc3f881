"""What the journal knows of a period: its figures, its incidents, and of which parts nothing is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from drift_gate.facts import Fact
from drift_gate.journal.figures import Figures, figures, gaps
from drift_gate.journal.records import Incident, Journal

#: How far apart looks should lie where nobody says.
EVERY = timedelta(hours=2)


class Period(Fact):
    """A period of the journal.

    ``incidents``: those that were going on in it, the newest first. ``unwatched``: by service, the parts of
    the period that nobody looked in; a service without one is not in it. ``interval_s``: how far apart looks
    should lie, by which this is judged.
    """

    figures: Figures
    incidents: tuple[Incident, ...]
    unwatched: Mapping[str, tuple[tuple[datetime, datetime], ...]]
    interval_s: int

    @classmethod
    def of(
        cls,
        journal: Journal,
        since: datetime,
        until: datetime,
        *,
        services: Collection[str] = (),
        interval: timedelta = EVERY,
    ) -> Period:
        """The period of ``journal`` from ``since`` to ``until``. Raises ``JournalError``.

        ``services``: those that should be looked at, whether or not anybody ever did.
        """
        incidents = tuple(each for each in journal.incidents(since=since) if each.detected_at < until)
        seen = {
            service: inside
            for service, looks in journal.seen(since).items()
            if (inside := [at for at in looks if at < until])
        }
        for name in (*services, *(each.service for each in incidents)):
            seen.setdefault(name, [])
        sent = sum(
            each.state == "sent" for incident in incidents for each in journal.notifications(incident.id)
        )
        told = figures(
            since,
            until,
            incidents=incidents,
            # A look lets nothing start: no refusal and no bypass is among them, which are most of a journal.
            entries=journal.entries(since=since, until=until, without=["monitor"]),
            seen=seen,
            interval=interval,
            notifications=sent,
        )
        unwatched = {
            service: parts
            for service, looks in sorted(seen.items())
            if (parts := tuple(gaps(looks, since, until, interval)))
        }
        return cls(
            figures=told,
            incidents=incidents,
            unwatched=unwatched,
            interval_s=int(interval.total_seconds()),
        )


def week(name: str) -> tuple[datetime, datetime]:
    """The begin and the end (UTC) of an ISO week such as ``2026-W48``. Raises ``ValueError``."""
    try:
        begin = datetime.strptime(f"{name}-1", "%G-W%V-%u").replace(tzinfo=UTC)
    except ValueError:
        begin = None
    if begin is None or f"{begin:%G-W%V}" != name:  # a year without a 53rd week has a 1st one in its place
        raise ValueError(f"{name!r} is no week such as 2026-W48")
    return begin, begin + timedelta(days=7)


def week_before(now: datetime) -> str:
    """The name of the last week that is over at ``now``."""
    return f"{now.astimezone(UTC) - timedelta(days=7):%G-W%V}"
