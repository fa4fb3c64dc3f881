"""Where a journal may be kept, besides a file, and copied to."""

from __future__ import annotations

import re
from typing import NamedTuple

_FIRESTORE = "firestore://"
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
#: ``PROJECT.DATASET`` of BigQuery.
DATASET = rf"^(?:{_PROJECT.pattern})\.[A-Za-z0-9_]{{1,1024}}$"
_DATABASE = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")


class FirestoreAt(NamedTuple):
    """One database of Firestore."""

    project: str
    database: str


def firestore(store: str) -> FirestoreAt | None:
    """The database that ``store`` names; None: it is no address. Raises ``ValueError`` for a wrong one."""
    if "://" not in store:
        return None
    project, _, database = store.removeprefix(_FIRESTORE).partition("/")
    found = FirestoreAt(project, database or "(default)")
    if not (
        store.startswith(_FIRESTORE) and _PROJECT.fullmatch(project) and _DATABASE.fullmatch(found.database)
    ):
        raise ValueError("a journal is a SQLite file, or firestore://PROJECT/DATABASE")
    return found


def checked(store: str) -> str:
    """``store`` itself. Raises ``ValueError`` where it is an address, and no right one."""
    firestore(store)
    return store
