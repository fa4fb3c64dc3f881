"""One round of a batch: its requests go out, and what comes back with them is kept, some lots at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain

from predictions.coordinator.batches.batch import ACTIVE, Batch
from predictions.coordinator.batches.contracts import Claim, Dispatcher, Handed, Store
from predictions.coordinator.batches.orders import Step, Tell
from predictions.coordinator.batches.result_filter import admitted
from predictions.worker.worker import PredictionRequest

#: How long answers are gathered that come quickly: a quarter of a second of them is one transaction. A lot
#: that took longer is kept at once, and one without answers too: whoever cancels stops what is to follow.
GATHERED = timedelta(milliseconds=250)


def hand_out(
    store: Store,
    dispatcher: Dispatcher,
    batch: Batch,
    requests: Iterable[PredictionRequest],
    done: int,
    claim: Claim,
    clock: Callable[[], datetime],
    tell: Tell,
) -> bool:
    """Hand out ``requests`` of ``batch``: whether all went out, and nobody ended it meanwhile.

    ``done``: how many others of the batch need not go out. Raises what ``dispatcher`` raises, after what it
    had handed out is on record.
    """
    for handed in gathered(dispatcher.dispatch(batch, requests), clock):
        told = [admitted(batch, each) for each in handed.completions]
        if store.mark_dispatched(batch.id, handed.request_ids, clock(), told) not in ACTIVE:
            return False
        claim.renew(clock())
        done += len(handed.request_ids)
        tell(Step(batch.id, done, batch.progress.requested))
    return True


def gathered(lots: Iterator[Handed], clock: Callable[[], datetime]) -> Iterator[Handed]:
    """``lots``, answers that come within ``GATHERED`` as one; what came stands where they break off."""
    held: list[Handed] = []
    since = clock()
    while True:
        try:
            lot = next(lots, None)
        except BaseException:
            if held:
                yield _joined(held)
            raise
        if lot is not None:
            held.append(lot)
        if held and (lot is None or not lot.completions or clock() - since >= GATHERED):
            yield _joined(held)
            held, since = [], clock()
        if lot is None:
            return


def _joined(lots: Sequence[Handed]) -> Handed:
    return Handed(
        tuple(chain.from_iterable(each.request_ids for each in lots)),
        tuple(chain.from_iterable(each.completions for each in lots)),
    )
