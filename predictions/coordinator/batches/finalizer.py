"""The end of a batch: what counts is handed over, what happened is put on record, once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from predictions.coordinator import logs
from predictions.coordinator.batches import telemetry
from predictions.coordinator.batches.batch import Batch, BatchState, Result
from predictions.coordinator.batches.contracts import Store
from predictions.coordinator.batches.ending import Ending, Share, ending
from predictions.coordinator.batches.result_filter import strangers, terms_of
from predictions.coordinator.batches.stamp import Serving
from predictions.coordinator.exceptions import (
    BatchError,
    BatchRunningError,
    DispatchError,
    TransitionError,
)

log = logging.getLogger("prediction_coordinator")

#: Takes the results of a batch that is about to be in the state that it has there.
Deliver = Callable[[Batch, Iterator[Result]], object]

#: How many requests an error of a batch names; all of them are counted.
_NAMED = 3
#: How many a batch that was completed without them names.
_LISTED = 50


def goes_on(batch_id: str) -> str:
    """The next step for a batch that ended too soon."""
    return f"to hand out the rest again: prediction-coordinator resume {batch_id}"


class Finalizer:
    """Ends the batches of a store; for all threads.

    ``live``: what serves when a batch ends, or why nobody knows. ``deliver`` None: results stay in the store.
    """

    def __init__(
        self,
        store: Store,
        live: Callable[[Batch], Serving | str],
        deliver: Deliver | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._live = live
        self._deliver = deliver
        self._clock = clock
        self._one = threading.Lock()

    def end(self, batch_id: str) -> None:
        """Hand over the results and close the batch; of several who come here at once one does.

        Raises ``BatchError`` where the results cannot be handed over: the batch has not ended then.
        """
        with self._one:
            batch = self._store.get(batch_id)
            if batch is None or not batch.active:
                return
            lost = self._store.shares(batch_id, "failed")
            foreign = strangers(batch, lost)
            end = ending(batch.stamps, self._store.shares(batch_id), self._live(batch), foreign)
            error = self._problem(batch, foreign, sum(each.results for each in lost))
            if not error:
                self._hand_over(batch, "completed")
            elif not foreign:
                self._keep(batch)
            told = error or self._lacks(batch, _LISTED)
            self._close(batch_id, "failed" if error else "completed", end, told)

    def _problem(self, batch: Batch, foreign: Sequence[Share], failed: int) -> str | None:
        """Why the batch has failed, ``failed`` of whose requests have no prediction; None: it has not."""
        if foreign:
            return _answered_by_others(batch, foreign)
        return self._lacks(batch, _NAMED) if failed > terms_of(batch).tolerate else None

    def _lacks(self, batch: Batch, named: int) -> str | None:
        """Which of its requests have no prediction, ``named`` of them by name; None: all have one."""
        errors = self._store.errors(batch.id, named)
        return _failures(batch, errors) if errors else None

    @contextmanager
    def failed_unless_done(self, batch_id: str) -> Iterator[None]:
        """Whatever ends the block early is put on record and goes on its way."""
        try:
            yield
        except (BatchRunningError, SystemExit):  # it belongs to somebody else now, or to whoever comes next
            raise
        except DispatchError as error:
            self._record(batch_id, error)
            raise DispatchError(f"{error}; {goes_on(batch_id)}") from error
        except BaseException as error:
            self._record(batch_id, error)
            raise

    def _record(self, batch_id: str, error: BaseException) -> None:
        # Where even that cannot be written, the next start of this date finds the batch without a
        # coordinator; the first error is the one to report.
        with suppress(BatchError):
            self._fail(batch_id, str(error) or type(error).__name__)

    def _fail(self, batch_id: str, error: str) -> None:
        now = self._clock()
        batch = self._store.move(batch_id, "failed", now, error=error)
        telemetry.ended(batch, now)
        _log_failed(batch)
        if batch.progress.completed and not strangers(batch, self._store.shares(batch_id, "failed")):
            self._keep(batch)

    def _hand_over(self, batch: Batch, to: BatchState) -> None:
        if self._deliver is not None:
            self._deliver(batch.model_copy(update={"state": to}), self._store.results(batch.id))

    def _keep(self, batch: Batch) -> None:
        """Hand over what a failed batch has; that even this fails makes it no worse."""
        try:
            self._hand_over(batch, "failed")
        except BatchError as error:
            log.error("batch %s has failed, and %s", batch.id, error)

    def _close(self, batch_id: str, to: BatchState, end: Ending, error: str | None) -> None:
        with suppress(TransitionError):  # somebody else ended it while we looked
            now = self._clock()
            batch = self._store.move(batch_id, to, now, error=error, ending=end)
            telemetry.ended(batch, now)
            if to == "failed":
                _log_failed(batch)
            if batch.marks:
                log.warning("batch %s is %s: %s", batch_id, ", ".join(batch.marks), _told(end.shares))


def _log_failed(batch: Batch) -> None:
    """The line that the alert ``failed`` looks for, with the next step where the error names none."""
    known = f"resume {batch.id}" in (batch.error or "")
    step = "" if known else f"; {goes_on(batch.id)}"
    with logs.labelled(batch_id=batch.id):
        log.error("batch %s for %s has failed: %s%s", batch.id, batch.game_date, batch.error, step)


def _failures(batch: Batch, errors: Sequence[tuple[str, str]]) -> str:
    named = "; ".join(f"{player}: {error}" for player, error in errors)
    more = batch.progress.failed - len(errors)
    rest = f"; and {more} more" if more > 0 else ""
    return f"{batch.progress.failed} of {batch.progress.requested} requests failed: {named}{rest}"


def _answered_by_others(batch: Batch, foreign: Sequence[Share]) -> str:
    count = sum(share.results for share in foreign)
    by = ", ".join(dict.fromkeys(share.commit or "" for share in foreign))
    known = ", ".join(dict.fromkeys(each for stamp in batch.stamps for each in stamp.live_commits if each))
    return (
        f"{count} of {batch.progress.requested} requests were answered by a worker of commit {by}, which was "
        f"not judged ({known} was), so nothing is delivered: see where COORDINATOR_WORKER_URL or the "
        f"subscription leads; `prediction-coordinator resume {batch.id}` judges what serves now and asks "
        "for these again"
    )


def _told(shares: Sequence[Share]) -> str:
    """Who brought how many of the results."""
    total = sum(share.results for share in shares) or 1
    return ", ".join(
        f"{share.results / total:.0%} by {share.commit or share.revision or 'nobody knows whom'}"
        for share in shares
    )
