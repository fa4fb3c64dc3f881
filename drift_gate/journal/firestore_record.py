"""One write of decisions and a look to Firestore, with the incidents that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from drift_gate.journal import firestore_state as state
from drift_gate.journal.columns import text
from drift_gate.journal.firestore_state import Course, State
from drift_gate.journal.incidents import incidents
from drift_gate.journal.records import Change, Entry, Incident, Look, Sighting

if TYPE_CHECKING:
    from drift_gate.journal.firestore_calls import Session


class Recording:
    """Reads, computes, and writes on the condition that nobody has written since; may be called again.

    ``anew`` names services whose incidents are computed anew from the beginning. ``copied``: the rows wait
    for being copied.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        look: Look | None,
        hold: timedelta,
        anew: Sequence[str] = (),
        *,
        copied: bool = False,
    ) -> None:
        self._entries = entries
        self._look = look
        self._hold = hold
        self._anew = anew
        self._copied = copied
        self._token = uuid4().hex
        self._changes: list[Change] = []

    def __call__(self, session: Session) -> list[Change]:
        """What changed about incidents."""
        place = session.place(state.STATE, "state")
        found = session.get(place)
        was = State.of(found)
        if was.writer == self._token:  # the write was done, and its answer lost
            return self._changes
        self._session, self._write, self._was = session, session.write(), was
        self._looks_since: dict[str, list[Look]] = {}
        self._concerned = self._may_change()
        decisions = (state.decision(each, copied=self._copied) for each in self._entries)
        self._decisions = {fields["key"]: fields for fields in decisions}
        services, scopes = dict(was.services), was.scopes
        if self._look:
            fields = state.looked(self._look, copied=self._copied)
            self._write.set(session.place(state.LOOKS, state.name(fields["key"])), fields)
            scopes = tuple(dict.fromkeys((*scopes, self._look.scope)))
        self._changes = []
        for service, since in self._since().items():
            services[service] = self._course(service, since)
        for key, fields in self._decisions.items():
            self._write.set(session.place(state.DECISIONS, state.name(key)), fields, merge=True)
        now = State(writer=self._token, services=services, scopes=scopes)
        session.replace(self._write, found, now.fields)
        session.commit(self._write)
        return self._changes

    def _may_change(self) -> set[str]:
        """The services whose incidents the look may change, which may come late: not over by then."""
        if self._look is None:
            return set()
        found = self._session.rows(state.INCIDENTS, "ended", state.before(self._look.at))
        return {str(each.get("service")) for each in found}

    def _since(self) -> dict[str, str]:
        """From when on the incidents of which services may be others now."""
        since = dict.fromkeys(self._anew, "")
        since |= dict.fromkeys(self._concerned, text(self._look.at) if self._look else "")
        for entry in self._entries:
            service, at = entry.verdict.service, text(entry.at)
            since[service] = min(at, since.get(service, at))
        return since

    def _course(self, service: str, since: str) -> Course:
        """Where ``service`` stands now, its incidents from ``since`` on written anew."""
        course = self._was.services.get(service, Course())
        made = [each for entry in self._entries if (each := Sighting.of(entry)) and each.service == service]
        fine = all(each.severity is None and _key(each) > course.calm for each in made)
        if course.clear and made and fine and service not in self._concerned:
            # All is well and was before, as with most looks: there is nothing to read.
            return course.model_copy(update={"calm": max(map(_key, made))})
        calm = self._calm(service, since, course)
        sightings = self._sightings(service, calm, made)
        course = self._replace(service, calm, course, sightings)
        newest = max((calm, course.calm, *(_key(each) for each in sightings if each.severity is None)))
        clear = all(each.severity is None or _key(each) < newest for each in sightings)
        return course.model_copy(update={"calm": newest, "clear": clear})

    def _calm(self, service: str, since: str, course: Course) -> str:
        """The last fine look before ``since``, as a key: no incident reaches across it."""
        if course.calm < since:
            return max(course.calm, course.cut)
        low, high = state.of(service, course.cut), state.of(service, since)
        for found in self._session.rows(state.DECISIONS, "calm", low, high, newest=True, limit=1):
            return str(found.get("key"))
        return course.cut

    def _sightings(self, service: str, after: str, made: Sequence[Sighting]) -> list[Sighting]:
        """Those after the key ``after``: the ones that are kept, and the ones that come now."""
        low, high = state.of(service, after), state.of(service, state.END)
        kept = self._session.rows(state.DECISIONS, "sighted", low, high, only=("sighting", "begins"))
        found = [Sighting.model_validate_json(each.get("sighting")) for each in kept]
        begins = [each.to_dict().get("begins") for each in kept]
        self._begun = {seen.id: id for seen, id in zip(found, begins, strict=True) if id}
        return [*found, *(each for each in made if _key(each) > after)]

    def _replace(self, service: str, calm: str, course: Course, sightings: Sequence[Sighting]) -> Course:
        """Compute the incidents after the key ``calm``, and write them in place of those that are kept."""
        middle, high = state.of(service, calm), state.of(service, state.END)
        # At the key itself is a fine look: no incident begins there.
        kept = self._session.rows(state.INCIDENTS, "of", middle, high)
        was = [Incident.model_validate_json(each.get("body")) for each in kept]
        looks = self._looks(min((each.at for each in sightings), default=None))
        # What an earlier version has kept began with its first sighting.
        unnamed = [each for each in was if each.id not in self._begun.values()]
        begun = {each.transitions[0].sighting or "": each.id for each in unnamed} | self._begun
        numbered = self._numbered(service, course)
        found = incidents(service, sightings, looks, hold=self._hold, begun=begun, numbered=numbered)
        new = [each for each in found if each.id not in begun.values()]
        for each in (*unnamed, *new):
            self._decisions.setdefault(state.first(each), {})["begins"] = each.id
        names = [state.name(each.id) for each in found]
        for document in kept:
            if document.id not in names:
                self._write.delete(document.reference)
        for name, each in zip(names, found, strict=True):
            # A mark that a person has set stays where it is.
            self._write.set(self._session.place(state.INCIDENTS, name), state.incident(each), merge=True)
        known = {(each.id, transition.key) for each in was for transition in each.transitions}
        self._changes += [
            Change(incident=each, transition=transition)
            for each in found
            for transition in each.transitions
            if (each.id, transition.key) not in known
        ]
        return course.model_copy(update={"numbered": numbered + len(new), "forgotten": 0})

    def _numbered(self, service: str, course: Course) -> int:
        """How many ids the incidents of ``service`` were given."""
        if course.numbered is not None:
            return course.numbered
        low, high = state.of(service), state.of(service, state.END)
        last = self._session.rows(state.INCIDENTS, "of", low, high, newest=True, limit=1)
        # One without a number was written since we read the state: our own write will be made again.
        return max([course.forgotten, *(int(each.to_dict().get("number", 0)) for each in last)])

    def _looks(self, since: datetime | None) -> list[Look]:
        """The looks from then on (None: none), and of each monitor the last before: what it declared."""
        if since is None:
            return []
        low = text(since)
        if low not in self._looks_since:  # services that were found drifted by one look ask for the same ones
            found = self._session.rows(state.LOOKS, "key", low)
            for scope in self._was.scopes:
                within = state.of(scope), state.of(scope, low)
                found += self._session.rows(state.LOOKS, "of", *within, newest=True, limit=1)
            self._looks_since[low] = [Look.model_validate_json(each.get("body")) for each in found]
        return [*self._looks_since[low], *([self._look] if self._look else [])]


def _key(sighting: Sighting) -> str:
    return state.key(sighting.at, sighting.id)
