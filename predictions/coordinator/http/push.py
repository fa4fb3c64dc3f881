"""A completion that Pub/Sub pushes: counted, or put aside where it can never be."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable
from typing import Literal

from drift_gate.presentation import render
from predictions.coordinator.batches.batch import Applied
from predictions.coordinator.http.bodies import Envelope
from predictions.worker.messages import Completion, MessageError, completion_from

log = logging.getLogger("prediction_coordinator")


def count(envelope: Envelope, complete: Callable[[Completion], Applied]) -> Applied | Literal["malformed"]:
    """What became of the message in ``envelope``.

    A message that is no completion is ``malformed`` and logged: it is to be acknowledged, since Pub/Sub
    would bring it again for ever. Raises what ``complete`` raises (``StateError``): then it is to come again.
    """
    try:
        completion = completion_from(base64.b64decode(envelope.message.data, validate=True))
    except (MessageError, binascii.Error, ValueError) as error:
        log.error(
            "message %s of %s is no completion, and is put aside: %s",
            render.plain(envelope.message.messageId[:100]),
            render.plain(envelope.subscription[:200]),
            render.plain(str(error)[:300]),
        )
        return "malformed"
    return complete(completion)
