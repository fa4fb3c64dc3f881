"""Deploys and their locks in the journal's Firestore database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from drift_gate.journal import firestore_state as state
from drift_gate.journal.columns import text
from drift_gate.journal.deploys import Deploy, Lock
from drift_gate.journal.firestore import FirestoreJournal
from drift_gate.journal.firestore_state import of

if TYPE_CHECKING:
    from drift_gate.journal.firestore_calls import Session


class FirestoreDeploys:
    """``Deploys`` in the database of ``journal``."""

    def __init__(self, journal: FirestoreJournal) -> None:
        self._journal = journal

    def lock(self, service: str) -> Lock:
        """As ``Deploys.lock``."""

        def work(session: Session) -> Lock:
            found = session.get(session.place(state.LOCKS, state.name(service)))
            return Lock.model_validate_json(found.get("body")) if found.exists else Lock(service=service)

        return self._journal.ask(work)

    def swap(self, was: Lock, now: Lock, deploys: Sequence[Deploy] = ()) -> bool:
        """As ``Deploys.swap``."""

        def work(session: Session) -> bool:
            found = session.get(session.place(state.LOCKS, state.name(was.service)))
            mark = found.get("mark") if found.exists else ""
            if mark == now.mark:  # it was done, and the answer lost
                return True
            if mark != was.mark:
                return False
            write = session.write()
            session.replace(write, found, {"mark": now.mark, "body": now.model_dump_json()})
            for each in deploys:
                write.set(session.place(state.DEPLOYS, state.name(each.id)), _document(each))
            session.commit(write)
            return True

        return self._journal.ask(work)

    def deploys(
        self, service: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Deploy]:
        """As ``Deploys.deploys``."""
        low, high = state.before(since) if since else "", state.END
        field = "key" if service is None else "of"
        if service is not None:
            low, high = of(service, low), of(service, high)

        def work(session: Session) -> list[Deploy]:
            rows = session.rows(state.DEPLOYS, field, low, high, newest=True, limit=limit)
            return [Deploy.model_validate_json(each.get("body")) for each in rows]

        return self._journal.ask(work)


def _document(deploy: Deploy) -> dict[str, str]:
    at = state.key(deploy.asked_at, deploy.id)
    fields = {"key": at, "of": of(deploy.service, at), "body": deploy.model_dump_json()}
    return fields | ({"ended": text(deploy.ended_at)} if deploy.ended_at else {})
