"""Which documents of the journal in Firestore wait for being copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drift_gate.journal import firestore_state as state
from drift_gate.journal.records import Look, Uncopied

if TYPE_CHECKING:
    from drift_gate.journal.firestore_calls import Session

_KINDS = {"decision": state.DECISIONS, "look": state.LOOKS}


def rows(session: Session, after: str, limit: int) -> list[Uncopied]:
    """As ``Journal.uncopied``."""
    found: list[Uncopied] = []
    for kind, collection in _KINDS.items():
        reached, _, above = after.partition("/")
        if kind < reached or len(found) == limit:
            continue
        above = above if kind == reached else ""
        for each in session.rows(collection, "uncopied", above, limit=limit - len(found)):
            row = state.entry_of(each) if kind == "decision" else Look.model_validate_json(each.get("body"))
            found.append(Uncopied(f"{kind}/{each.get('uncopied')}", row))
    return found


def done(session: Session, keys: Sequence[str]) -> None:
    """As ``Journal.copied``."""
    write = session.write()
    for key in keys:
        kind, _, rest = key.partition("/")
        session.drop(write, session.place(_KINDS[kind], state.name(rest)), "uncopied")
    session.commit(write)
