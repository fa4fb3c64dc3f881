"""A completion that Pub/Sub pushes: counted, or put aside where it can never be."""

from __future__ import annotations

import base64
import binascii
import logging
from functools import partial
from typing import Literal

from drift_gate.presentation import render
from predictions.coordinator.batches.batch import Applied
from predictions.coordinator.batches.counting import Completions
from predictions.coordinator.http.bodies import Envelope
from predictions.coordinator.http.groups import Groups
from predictions.coordinator.http.threads import Threads
from predictions.worker.messages import Completion, MessageError, completion_from

log = logging.getLogger("prediction_coordinator")


class Push:
    """Counts what Pub/Sub pushes, together what arrives together; only for the thread of the event loop."""

    def __init__(self, completions: Completions, threads: Threads) -> None:
        """``threads``: where batches end that have their last result."""
        self._completions = completions
        self._threads = threads
        self._groups = Groups(completions.count)

    def close(self) -> None:
        """Let whoever waits be answered now."""
        self._groups.close()

    async def take(self, envelope: Envelope, *, within: float) -> Applied | Literal["malformed"]:
        """What became of the message in ``envelope``, once that is on record.

        A message that is no completion is ``malformed`` and logged: it is to be acknowledged, since Pub/Sub
        would bring it again for ever. Raises ``StateError`` where it was not counted, ``BatchError`` where
        its batch could not be ended, ``LateError`` after ``within`` seconds of either, ``BusyError`` and
        ``ShuttingDownError``: then it is to come again.
        """
        completion = _completion(envelope)
        if completion is None:
            return "malformed"
        counted = await self._groups.run(completion, within=within)
        if counted.settled or counted.applied == "unknown":
            follow_up = partial(self._completions.follow_up, completion, counted)
            await self._threads.run(follow_up, within=within)
        return counted.applied


def _completion(envelope: Envelope) -> Completion | None:
    """The completion that was pushed; None: it is none, which is logged."""
    try:
        return completion_from(base64.b64decode(envelope.message.data, validate=True))
    except (MessageError, binascii.Error, ValueError) as error:
        log.error(
            "message %s of %s is no completion, and is put aside: %s",
            render.plain(envelope.message.messageId[:100]),
            render.plain(envelope.subscription[:200]),
            render.plain(str(error)[:300]),
        )
        return None
