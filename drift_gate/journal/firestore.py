"""The journal in Firestore, for several processes at once; each call ends in time.

Decisions, looks and incidents are written on the condition that one document is as it was read, so that the
incidents are those of all that is kept, whoever writes beside. Every query is of one field: none needs an
index that somebody must make.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import uuid4

from drift_gate.errors import DriftGateError, JournalError
from drift_gate.journal import firestore_outbox
from drift_gate.journal import firestore_state as state
from drift_gate.journal.columns import text
from drift_gate.journal.firestore_record import Recording
from drift_gate.journal.firestore_state import State, entry_of, of
from drift_gate.journal.incidents import HOLD
from drift_gate.journal.records import Change, Door, Entry, Incident, Look, Notification, Uncopied
from drift_gate.runtime.deadline import Deadline, Lookup

if TYPE_CHECKING:
    from drift_gate.journal.firestore_calls import Session

T = TypeVar("T")

#: Seconds of one call that a person waits for.
READ_S = 5.0
#: Documents of one write: a commit may have 10 MB
#: (https://firebase.google.com/docs/firestore/quotas#limits).
_LOT = 100


class Database(NamedTuple):
    """Where the journal is; ``emulator``: ``host:port`` of one that stands in for Google, or None."""

    project: str
    database: str = "(default)"
    emulator: str | None = None

    def __str__(self) -> str:
        return f"firestore://{self.project}/{self.database}"


class FirestoreJournal:
    """A ``Journal`` in ``database``. ``hold``: how long after landing a drift opens.

    ``busy_s``: seconds that a call takes at most; ``rebuild`` and ``prune`` make one for each service.
    ``copied``: what is kept from now on waits for being copied.
    """

    def __init__(
        self, database: Database, *, hold: timedelta = HOLD, busy_s: float = READ_S, copied: bool = False
    ) -> None:
        self._database = database
        self._hold = hold
        self._busy_s = busy_s
        self._copied = copied

    def record(self, entries: Sequence[Entry], look: Look | None = None) -> list[Change]:
        """As ``Journal.record``."""
        return self.ask(Recording(entries, look, self._hold, copied=self._copied))

    def entries(
        self,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        without: Collection[Door] = (),
    ) -> list[Entry]:
        """As ``Journal.entries``. With ``without`` all of the period is read: no index has both."""
        low, high = text(since) if since else "", text(until) if until else state.END
        field = "key" if service is None else "of"
        if service is not None:
            low, high = of(service, low), of(service, high)
        most = None if without else limit
        found = self.ask(
            lambda session: [
                entry_of(each)
                for each in session.rows(state.DECISIONS, field, low, high, newest=True, limit=most)
            ]
        )
        return [each for each in found if each.door not in without][:limit]

    def latest(self) -> list[Entry]:
        """As ``Journal.latest``; one query has all services that were looked at a short time ago."""

        def work(session: Session) -> list[Entry]:
            services = _state(session)[1].services
            found: dict[str, Entry] = {}
            newest = session.rows(state.DECISIONS, "key", newest=True, limit=2 * len(services) or 1)
            for entry in map(entry_of, newest):
                if entry.other_target is None:
                    found.setdefault(entry.verdict.service, entry)
            for service in services.keys() - found.keys():
                within = of(service), of(service, state.END)
                for each in session.rows(state.DECISIONS, "sighted", *within, newest=True, limit=1):
                    found[service] = entry_of(each)
            return [found[service] for service in sorted(found)]

        return self.ask(work)

    def looks(self, since: datetime | None = None, until: datetime | None = None) -> list[Look]:
        """As ``Journal.looks``."""
        low, high = text(since) if since else "", text(until) if until else state.END
        return self.ask(
            lambda session: [
                Look.model_validate_json(each.get("body"))
                for each in session.rows(state.LOOKS, "key", low, high, newest=True)
            ]
        )

    def seen(self, since: datetime | None = None) -> dict[str, list[datetime]]:
        """As ``Journal.seen``."""
        found: dict[str, list[datetime]] = {}
        low = text(since) if since else ""
        for each in self._rows(state.DECISIONS, "key", low, only=("key", "service", "sighted")):
            if "sighted" in each.to_dict():
                at = datetime.fromisoformat(state.moment(each.get("key")))
                found.setdefault(each.get("service"), []).append(at)
        return found

    def incidents(
        self, service: str | None = None, since: datetime | None = None, unresolved: bool = False
    ) -> list[Incident]:
        """As ``Journal.incidents``."""

        def work(session: Session) -> list[tuple[str, Incident]]:
            if unresolved:
                found = session.equal(state.INCIDENTS, "ended", state.END)
            else:
                found = session.rows(state.INCIDENTS, "ended", state.before(since) if since else "")
            return [(each.get("of"), _incident(each)) for each in found]

        known = self.ask(work)
        known = [each for each in known if service in (None, each[1].service)]
        return [each for _, each in sorted(known, key=lambda one: (one[1].detected_at, one[0]), reverse=True)]

    def mark(self, incident: str, reason: str | None) -> Incident:
        """As ``Journal.mark``."""

        def work(session: Session) -> Incident | None:
            found = session.get(session.place(state.INCIDENTS, state.name(incident)))
            if not found.exists:
                return None
            write = session.write()
            session.replace(write, found, {"mark": reason})
            session.commit(write)
            return _incident(found).model_copy(update={"false_alarm": reason})

        marked = self.ask(work)
        if marked is None:
            raise JournalError(f"{self._database} holds no incident {incident!r}")
        return marked

    def claim(self, notification: Notification, again_before: datetime) -> bool:
        """As ``Journal.claim``."""
        token = uuid4().hex

        def work(session: Session) -> bool:
            found = session.get(_place(session, notification))
            if found.exists and found.get("claim") == token:  # it was done, and the answer lost
                return True
            was = _notification(found) if found.exists else None
            if was and (was.state == "sent" or (was.state == "claimed" and was.at >= again_before)):
                return False
            attempts = was.attempts + 1 if was else 1
            fields = notification.model_dump(mode="json") | {"state": "claimed", "attempts": attempts}
            write = session.write()
            fields |= {"at": text(notification.at), "claim": token}
            session.replace(write, found, fields)
            session.commit(write)
            return True

        return self.ask(work)

    def settle(self, notification: Notification) -> None:
        """As ``Journal.settle``."""
        fields = notification.model_dump(mode="json", include={"state", "answer", "place"})

        def work(session: Session) -> None:
            write = session.write()
            write.update(_place(session, notification), fields)
            session.commit(write)

        self.ask(work)

    def notifications(self, subject: str) -> list[Notification]:
        """As ``Journal.notifications``."""
        found = self.ask(
            lambda session: [*map(_notification, session.equal(state.NOTIFICATIONS, "subject", subject))]
        )
        return sorted(found, key=lambda each: (each.at, each.key, each.channel))

    def uncopied(self, after: str, limit: int) -> list[Uncopied]:
        """As ``Journal.uncopied``."""
        return self.ask(lambda session: firestore_outbox.rows(session, after, limit))

    def copied(self, keys: Sequence[str]) -> None:
        """As ``Journal.copied``."""
        self.ask(lambda session: firestore_outbox.done(session, keys))

    def rebuild(self) -> list[Incident]:
        """As ``Journal.rebuild``."""
        for service in self._services():
            self.ask(Recording([], None, self._hold, [service]))
        return self.incidents()

    def prune(self, before: datetime) -> int:
        """As ``Journal.prune``; what was interrupted goes on with the next call."""
        forgotten = 0
        for service in self._services():
            cut = self.ask(partial(_cut, service, text(before)))
            forgotten += self._forget(state.DECISIONS, "of", of(service), of(service, cut))
        oldest = self._rows(state.DECISIONS, "key", limit=1, only=("key",))
        kept = state.moment(oldest[0].get("key")) if oldest else state.END
        self._forget(state.LOOKS, "key", "", min(text(before), kept))
        self._forget(state.NOTIFICATIONS, "at", "", text(before))
        self._forget(state.DEPLOYS, "ended", "", text(before))
        return forgotten

    def _services(self) -> list[str]:
        return list(self.ask(_state)[1].services)

    def _forget(self, collection: str, field: str, above: str, below: str) -> int:
        """Delete these documents, some at a time; how many."""

        def work(session: Session) -> int:
            found = session.rows(collection, field, above, below, limit=_LOT, only=(field,))
            write = session.write()
            for each in found:
                write.delete(each.reference)
            session.commit(write)
            return len(found)

        total = 0
        while lot := self.ask(work):
            total += lot
        return total

    def _rows(self, *args: Any, **named: Any) -> list[Any]:
        return self.ask(lambda session: session.rows(*args, **named))

    def ask(self, work: Callable[[Session], T]) -> T:
        """What ``work`` returns. Raises ``JournalError`` where it cannot be done in time."""
        deadline = Deadline(self._busy_s)
        try:
            client = _clients(os.getpid(), self._database).result(deadline)
            # Google's libraries take a moment to load; here they are loaded.
            from drift_gate.journal.firestore_calls import answer

            return answer(client, work, deadline)
        except ImportError as error:
            raise JournalError(
                f"the journal {self._database} needs Google's library: "
                "pip install 'prediction-drift-gate[firestore]'"
            ) from error
        except TimeoutError as error:
            sentence = f"Google's library and credentials were not ready within {self._busy_s:g} s"
            raise JournalError(f"the journal {self._database} cannot be used: {sentence}") from error
        except (KeyError, ValueError) as error:
            raise JournalError(
                f"the journal {self._database} holds what this version cannot read; was a later one here?"
            ) from error
        except DriftGateError as error:
            raise JournalError(f"the journal {self._database} cannot be used: {error}") from error


@cache
def _clients(process_id: int, database: Database) -> Lookup[Any]:
    """One client for each database; a channel does not survive a fork."""

    def connect() -> Any:
        from drift_gate.journal.firestore_calls import connected

        return connected(*database)

    return Lookup(connect, f"Firestore {process_id}")


def _state(session: Session) -> tuple[Any, State]:
    found = session.get(session.place(state.STATE, "state"))
    return found, State.of(found)


def _cut(service: str, before: str, session: Session) -> str:
    """Forget the incidents of ``service`` up to its last fine look before then; the key of that look."""
    found, now = _state(session)
    course = now.services[service]
    low, high = of(service, course.cut), of(service, before)
    fine = session.rows(state.DECISIONS, "calm", low, high, newest=True, limit=1)
    if not fine:
        return course.cut
    cut = str(fine[0].get("key"))
    ended = session.rows(state.INCIDENTS, "of", of(service), of(service, cut))
    write = session.write()
    for each in ended:
        write.delete(each.reference)
    # An earlier version has numbered them in time.
    numbers = [each.to_dict().get("number", 0) for each in ended]
    forgotten = max((course.forgotten, *numbers)) if course.numbered is None else 0
    course = course.model_copy(update={"cut": cut, "forgotten": forgotten})
    services = {**now.services, service: course}
    session.replace(write, found, now.model_copy(update={"services": services}).fields)
    session.commit(write)
    return cut


def _place(session: Session, notification: Notification) -> Any:
    name = state.name(notification.subject, notification.key, notification.channel)
    return session.place(state.NOTIFICATIONS, name)


def _notification(found: Any) -> Notification:
    fields = found.to_dict()
    fields.pop("claim")
    return Notification.model_validate(fields)


def _incident(found: Any) -> Incident:
    fields = found.to_dict()
    incident = Incident.model_validate_json(fields["body"])
    return incident.model_copy(update={"false_alarm": fields.get("mark")})
