"""Who may work on a date, in Firestore: a document with a holder and the end of its lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from secrets import token_hex
from typing import Any

from predictions.coordinator.batches.contracts import Claim
from predictions.coordinator.exceptions import BatchRunningError
from predictions.coordinator.store import rows
from predictions.coordinator.store.firestore_parts import TAKEN, errors

#: Seconds after which the claim of a coordinator that was not heard of is anybody's: longer than a lot
#: takes to be handed out. One that lost it stops; what both handed out is counted once.
LEASE_SECONDS = 120.0
#: The part of the lease that goes by before it is written anew.
_RENEW_AFTER = 0.25


class Lease:
    """A ``Claim`` on the document ``reference``, whose state is known by the time of its last write."""

    def __init__(self, client: Any, reference: Any) -> None:
        self._client = client
        self._reference = reference
        self._holder = token_hex(8)
        self._since: datetime | None = None
        self._written: Any = None

    def take(self, now: datetime) -> bool:
        """Whether it is ours now; not so while the lease of another lasts."""
        found = self._reference.get()
        if found.exists and datetime.fromisoformat(found.get("ends_at")) > now:
            return False
        try:
            if found.exists:
                self._write(self._reference.update, now, found.update_time)
            else:
                self._keep(self._reference.create(self._fields(now)), now)
        except TAKEN:
            return False
        return True

    def renew(self, now: datetime) -> None:
        """As ``Claim.renew``."""
        if self._written is None:
            raise BatchRunningError("this process is about to end, and has given the date back")
        if self._since is None or now - self._since < timedelta(seconds=LEASE_SECONDS * _RENEW_AFTER):
            return
        try:
            self._write(self._reference.update, now, self._written)
        except TAKEN as error:
            raise BatchRunningError("another start has taken the date over") from error

    def give_back(self) -> None:
        """Free the date, unless it is another's by now; once is enough."""
        if self._written is None:
            return
        last, self._written = self._written, None
        with suppress(*TAKEN):
            self._reference.delete(option=self._client.write_option(last_update_time=last))

    def _write(self, update: Any, now: datetime, last: Any) -> None:
        option = self._client.write_option(last_update_time=last)
        self._keep(update(self._fields(now), option=option), now)

    def _fields(self, now: datetime) -> dict[str, str]:
        return {"holder": self._holder, "ends_at": rows.text(now + timedelta(seconds=LEASE_SECONDS))}

    def _keep(self, result: Any, now: datetime) -> None:
        self._written, self._since = result.update_time, now


class Claims:
    """The leases that one process holds."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._leases: set[Lease] = set()

    @contextmanager
    def hold(self, game_date: date, now: datetime) -> Iterator[Claim | None]:
        """The date, until the end of the block; None: it is another's. Raises ``StateError``."""
        lease = Lease(self._client, self._client.collection("claims").document(game_date.isoformat()))
        with errors():
            taken = lease.take(now)
        if not taken:
            yield None
            return
        self._leases.add(lease)
        try:
            yield _Renewing(lease)
        finally:
            self._leases.discard(lease)
            with errors():
                lease.give_back()

    def give_back(self) -> None:
        """Free all dates that are held; whoever works on one learns of it when it renews its claim."""
        for lease in tuple(self._leases):
            with errors():
                lease.give_back()


class _Renewing:
    """The lease, whose errors are ours."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def renew(self, now: datetime) -> None:
        """As ``Claim.renew``."""
        with errors():
            self._lease.renew(now)
