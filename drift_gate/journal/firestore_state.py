"""What the journal in Firestore knows of each service, in one document, and what its documents are called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import Field

from drift_gate.facts import Fact
from drift_gate.journal.columns import text
from drift_gate.journal.records import Entry, Incident, Look, Sighting, verdict_of

#: One database may be shared with others: these are the journal's collections.
DECISIONS, LOOKS, INCIDENTS = "drift_decisions", "drift_looks", "drift_incidents"
NOTIFICATIONS, STATE = "drift_notifications", "drift_journal"
DEPLOYS, LOCKS = "drift_deploys", "drift_locks"
#: Sorts behind every key, which begins with a year.
END = ":"
_MOMENT = len("2026-02-02T08:00:00.000000+00:00")
#: A name in Firestore has at most 1,500 bytes.
_LONGEST_NAME = 1000


class Course(Fact):
    """Where one service stands; each of ``calm`` and ``cut`` is a key, ``""`` where there is none.

    ``calm``: its newest fine look. ``clear``: nothing was found after that. What is at or before ``cut``
    was forgotten. ``numbered``: how many ids its incidents were given; None: an earlier version was here
    last, which numbered them in time, and had forgotten so many (``forgotten``).
    """

    calm: str = ""
    clear: bool = True
    cut: str = ""
    numbered: int | None = None
    forgotten: int = 0


class State(Fact):
    """What every write of decisions, looks and incidents is conditional on.

    ``writer`` names the last one: whoever lost the answer of a write finds out that it was done.
    ``scopes`` are those of the monitors that ever looked.
    """

    writer: str = ""
    services: Mapping[str, Course] = Field(default_factory=dict)
    scopes: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Any) -> State:
        """As it stands in the document that was ``found``."""
        return cls.model_validate_json(found.get("body")) if found.exists else cls()

    @property
    def fields(self) -> dict[str, Any]:
        """The document."""
        return {"body": self.model_dump_json()}


def before(at: datetime) -> str:
    """What sorts right before ``at``: of an incident that ended above it, it was not over by then."""
    return text(at)[:-1]


def key(at: datetime, id: str) -> str:
    """What decisions and looks are sorted by."""
    return f"{text(at)} {id}"


def moment(key: str) -> str:
    """The time that a key begins with, as text."""
    return key[:_MOMENT]


def of(group: str, key: str = "") -> str:
    """A key among those of one service or monitor, so that one field sorts and separates them."""
    return f"{group}\n{key}"


def name(*parts: str) -> str:
    """A document's name: any text but ``/``, ``.``, ``..`` and ``__…__``, and not too long."""
    found = "r-" + " ".join(quote(part, safe="") for part in parts)
    return found if len(found) <= _LONGEST_NAME else "h-" + hashlib.sha256(found.encode()).hexdigest()


def decision(entry: Entry, *, copied: bool = False) -> dict[str, Any]:
    """The document of a decision; only a sighting has ``sighted``, only one of a fine look ``calm``.

    Only one that an incident began with, when it got its id, has ``begins``: that id. Only one that waits
    for being ``copied`` has ``uncopied``.
    """
    sighting, service = Sighting.of(entry), entry.verdict.service
    at = key(entry.at, entry.id)
    fields = {
        "key": at,
        "of": of(service, at),
        "service": service,
        "entry": entry.model_dump_json(exclude={"verdict"}),
        "verdict": entry.verdict.model_dump_json(),
    }
    if sighting:
        fields |= {"sighted": of(service, at), "sighting": sighting.model_dump_json()}
        if sighting.severity is None:
            fields["calm"] = of(service, at)
    return fields | ({"uncopied": at} if copied else {})


def entry_of(found: Any) -> Entry:
    """The decision of the document that was ``found``."""
    fields = json.loads(found.get("entry"))
    return Entry.model_validate(fields | {"verdict": verdict_of(found.get("verdict"))})


def looked(look: Look, *, copied: bool = False) -> dict[str, Any]:
    """The document of a look; ``copied`` as for a decision."""
    at = key(look.at, look.id)
    fields = {"key": at, "of": of(look.scope, at), "body": look.model_dump_json()}
    return fields | ({"uncopied": at} if copied else {})


def first(each: Incident) -> str:
    """The key of the decision that an incident begins with."""
    return key(each.detected_at, each.transitions[0].sighting or "")


def incident(each: Incident) -> dict[str, Any]:
    """The document of an incident, but for the mark that a person may have set."""
    return {
        "of": of(each.service, first(each)),
        "service": each.service,
        "ended": text(each.resolved_at) if each.resolved_at else END,
        "body": each.model_dump_json(),
    }
