"""What Firestore's documents are called, and its errors as ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from google.api_core import exceptions as google
from google.auth.exceptions import GoogleAuthError

from predictions.coordinator.exceptions import StateError

T = TypeVar("T")

#: Documents of one write: a commit may have 10 MB
#: (https://firebase.google.com/docs/firestore/quotas#limits).
LOT = 400
#: The state of a batch whose requests are not all there; nobody sees it.
UNFINISHED = "unfinished"
#: Somebody else wrote between our look and our write.
TAKEN = (google.AlreadyExists, google.FailedPrecondition, google.NotFound, google.Aborted)
#: A name in Firestore has at most 1,500 bytes.
_LONGEST_NAME = 1000


def seen(found: Any) -> bool:
    """Whether the document is a batch that all may see."""
    return bool(found.exists) and found.get("state") != UNFINISHED


def unchanged(client: Any, found: Any) -> Any:
    """The condition of a write that nobody has written the document since it was found so."""
    return client.write_option(last_update_time=found.update_time)


def name_of(player_id: str) -> str:
    """A document's name: any text but ``/``, ``.``, ``..`` and ``__…__``, and not too long."""
    name = "r-" + quote(player_id, safe="")
    return name if len(name) <= _LONGEST_NAME else "h-" + hashlib.sha256(player_id.encode()).hexdigest()


def lots(items: Iterable[T]) -> Iterator[list[T]]:
    """``items``, as many at once as a write may hold."""
    left = iter(items)
    while lot := list(islice(left, LOT)):
        yield lot


@contextmanager
def errors() -> Iterator[None]:
    """Google's errors as ``StateError``."""
    try:
        yield
    except (google.DeadlineExceeded, google.RetryError, google.ServiceUnavailable) as error:
        raise StateError(f"Firestore does not answer: {type(error).__name__}: {error}") from error
    except (google.GoogleAPIError, GoogleAuthError) as error:
        raise StateError(f"Firestore: {type(error).__name__}: {error}") from error


@contextmanager
def attempt() -> Iterator[None]:
    """The same, for a write that is tried again: that somebody else was first only ends the block."""
    with errors(), suppress(*TAKEN):
        yield
