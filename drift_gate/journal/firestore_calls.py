"""Google's client of Firestore, each of whose calls ends by one deadline. Imported late: it is slow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.api_core import exceptions as google
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, retrying
from drift_gate.runtime.forks import CALLS

T = TypeVar("T")

#: Somebody else wrote between our look and our write, or Firestore wants to be asked again.
_AGAIN = (
    google.Aborted,
    google.AlreadyExists,
    google.FailedPrecondition,
    google.ResourceExhausted,
    google.ServiceUnavailable,
)
#: The library begins its deadline anew with each of its retries: we make our own, inside of one.
_NEVER = Retry(predicate=lambda _: False)


def connected(project: str, database: str, emulator: str | None) -> Any:
    """Google's client. ``emulator``: ``host:port`` in clear text; None: Google itself.

    Raises ``SourceError`` where there are no credentials.
    """
    credentials = AnonymousCredentials() if emulator else None  # type: ignore[no-untyped-call]  # Google's
    try:
        client: Any = firestore.Client(project=project, database=database, credentials=credentials)
    except GoogleAuthError as error:
        raise SourceError(_sentence(error), "credentials") from error
    with CALLS.one():
        # The library takes an emulator from the environment alone, where it would be everybody's.
        client._emulator_host = emulator
        # What makes the channel; the library makes it when it is first needed, also from two threads at once.
        client._firestore_api  # noqa: B018
    return client


def answer(client: Any, work: Callable[[Session], T], deadline: Deadline) -> T:
    """What ``work`` returns, done again where somebody came between. Raises ``SourceError``."""

    def once() -> T:
        try:
            with CALLS.one():
                return work(Session(client, deadline))
        except _AGAIN as error:
            raise SourceError(_sentence(error), "unavailable", True) from error
        except (google.DeadlineExceeded, google.RetryError) as error:
            raise SourceError(f"no answer within {deadline.seconds:g} s", "timeout", True) from error
        except google.PermissionDenied as error:
            hint = "it needs roles/datastore.user there"
            raise SourceError(f"{_sentence(error)}; {hint}", "permission-denied") from error
        except google.NotFound as error:
            hint = "was it made (gcloud firestore databases create)?"
            raise SourceError(f"{_sentence(error)}; {hint}", "not-found") from error
        except (google.GoogleAPIError, GoogleAuthError) as error:
            raise SourceError(_sentence(error), "unavailable") from error

    return retrying(once, deadline)


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class Session:
    """The calls of one piece of work, which all end by ``deadline``."""

    def __init__(self, client: Any, deadline: Deadline) -> None:
        self._client = client
        self._deadline = deadline

    def place(self, collection: str, name: str) -> Any:
        """Where a document is, or will be."""
        return self._client.collection(collection).document(name)

    def get(self, place: Any) -> Any:
        """The document at ``place``; it says itself whether it exists."""
        return place.get(**self._bounds())

    def rows(
        self,
        collection: str,
        field: str,
        above: str = "",
        below: str | None = None,
        *,
        newest: bool = False,
        limit: int | None = None,
        only: tuple[str, ...] = (),
    ) -> list[Any]:
        """The documents with ``above < field < below``, in its order; ``newest``: the other way round.

        One field for range and order: every other query would need an index that somebody must make.
        ``only`` names the fields that are read; none: all.
        """
        query = self._client.collection(collection).where(filter=FieldFilter(field, ">", above))
        if below is not None:
            query = query.where(filter=FieldFilter(field, "<", below))
        query = query.order_by(field, direction="DESCENDING" if newest else "ASCENDING")
        query = query.limit(limit) if limit is not None else query
        return list((query.select(only) if only else query).stream(**self._bounds()))

    def equal(self, collection: str, field: str, value: str) -> list[Any]:
        """The documents with this value, in no order."""
        query = self._client.collection(collection).where(filter=FieldFilter(field, "==", value))
        return list(query.stream(**self._bounds()))

    def write(self) -> Any:
        """An empty batch of writes, all of which are done or none."""
        return self._client.batch()

    def replace(self, write: Any, found: Any, fields: Mapping[str, Any]) -> None:
        """Add to ``write``: what was ``found`` becomes ``fields``, unless somebody has written meanwhile."""
        if found.exists:
            option = self._client.write_option(last_update_time=found.update_time)
            write.update(found.reference, fields, option=option)
        else:
            write.create(found.reference, fields)

    def drop(self, write: Any, place: Any, field: str) -> None:
        """Add to ``write``: the document at ``place``, which is there, loses this ``field``."""
        write.update(place, {field: firestore.DELETE_FIELD})

    def commit(self, write: Any) -> None:
        """Do what is in ``write``."""
        write.commit(**self._bounds())

    def _bounds(self) -> dict[str, Any]:
        return {"retry": _NEVER, "timeout": max(0.01, self._deadline.remaining())}
