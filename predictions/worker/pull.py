"""``python -m predictions.worker.pull``: pulls tasks from a subscription and publishes what it answers.

``WORKER_SUBSCRIPTION`` (``projects/PROJECT/subscriptions/NAME``) and ``WORKER_COMPLETIONS``
(``projects/PROJECT/topics/NAME``) say where; ``PUBSUB_EMULATOR_HOST`` names an emulator. SIGTERM ends it
once what it has begun is answered.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping

from predictions.worker.answering import Identity, answer
from predictions.worker.completions import Completions, NotPublished
from predictions.worker.messages import MessageError, task_from
from predictions.worker.pubsub import Received, holding, publisher, subscriber

log = logging.getLogger("prediction_worker")

#: Tasks that are held at once: enough to keep the publisher's batches full, little to give back.
_HELD = 200


class Puller:
    """Answers one message after the other."""

    def __init__(self, completions: Completions, who: Identity) -> None:
        self._completions = completions
        self._who = who

    def __call__(self, message: Received) -> None:
        """Ack ``message`` once its answer is published; let it come again where that failed."""
        try:
            task = task_from(message.data, message.attributes)
        except MessageError as error:
            # Nobody can answer it, now or later: it is told, and does not come again.
            log.error("message %s is no task: %s", message.message_id, error)
            message.ack()
            return
        try:
            self._completions.publish(answer(task, self._who, message.message_id), task.stamp)
        except NotPublished as error:
            log.warning("message %s comes again: %s", message.message_id, error)
            message.nack()
        else:
            message.ack()


def pull(environ: Mapping[str, str], ended: threading.Event) -> None:
    """Pull until ``ended`` is set. Raises ``KeyError`` for a variable that is missing."""
    emulator = environ.get("PUBSUB_EMULATOR_HOST")
    subscription, topic = environ["WORKER_SUBSCRIPTION"], environ["WORKER_COMPLETIONS"]
    sender, receiver = publisher(emulator), subscriber(emulator)
    puller = Puller(Completions(sender, topic), Identity.of(environ))
    with receiver:
        future = receiver.subscribe(
            subscription, puller, flow_control=holding(_HELD), await_callbacks_on_shutdown=True
        )
        future.add_done_callback(lambda _: ended.set())
        log.info("pulling from %s", subscription)
        ended.wait()
        future.cancel()
        future.result()
    sender.stop()


def main() -> int:
    """0 after SIGTERM, 2 for a variable that is missing."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        pull(os.environ, ended)
    except KeyError as error:
        print(f"predictions.worker.pull: {error.args[0]} is not set", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
