"""Every error that the gate raises on purpose.

    DriftGateError
    ├── DriftConfigError            a setting is wrong; nothing was checked
    ├── DriftCheckError             the answer could not be found out
    │   └── SourceError             one outside system failed or made no sense
    ├── JournalError                what was decided cannot be kept or read; no verdict changes by that
    ├── DeployError                 a deploy ended before what it was to deploy serves
    │   ├── BuildError              … the image could not be built or pushed
    │   ├── CandidateError          … the new revision does not start, or is not fit to serve
    │   ├── OvertakenError          … something newer serves, or is on its way: never backwards
    │   └── SplitChangedError       … somebody else changed the workload since it was read
    └── DeploymentDriftError        the policy refuses the batch
        └── DriftUnknownError       … because drift could not be ruled out

All arguments are positional and kept in ``args``, so that each error survives pickling (a worker
pool carries it from process to process) and prints as one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

#: Why something is not known. A cause, once published, keeps its meaning.
Cause = Literal[
    "credentials",
    "permission-denied",
    "not-found",
    "timeout",
    "unavailable",
    "rate-limited",
    "no-serving-revision",
    "no-commit-evidence",
    "commit-not-in-history",
    "ambiguous-commit",
    "shallow-history",
    "target-not-found",
    "history-unavailable",
    "nothing-relevant",
    "invalid-response",
    "gate-error",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)


class Unanswered(Protocol):
    """What says why something is not known: a ``facts.Unknown``."""

    @property
    def cause(self) -> Cause: ...
    @property
    def message(self) -> str: ...
    @property
    def retryable(self) -> bool: ...


class Report(Protocol):
    """What an error carries of a comparison: a ``DriftReport``, by its fields or as a mapping of them."""

    @property
    def service(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def live(self) -> Sequence[Any]: ...
    def __getitem__(self, key: str) -> Any: ...


class Judgement(Protocol):
    """What an error carries of a judgement: a ``Verdict``."""

    @property
    def service(self) -> str: ...
    @property
    def decision(self) -> str: ...
    @property
    def reasons(self) -> Sequence[Any]: ...
    @property
    def report(self) -> Any: ...


class DriftGateError(Exception):
    """The root: one ``except`` for whatever the gate says no with."""


class DriftConfigError(DriftGateError):
    """The configuration is missing, unreadable or contradicts itself; a sentence names file, line and key.

    ``args`` are the sentences, one for each mistake; as text they stand on lines of their own.
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class DriftCheckError(DriftGateError):
    """The check ended without an answer.

    ``cause`` is one of the published causes (see ``Cause``), ``retryable`` says whether asking
    again later may help, and ``report`` is the report with status ``unknown`` where there is one.
    """

    def __init__(
        self,
        message: str,
        cause: Cause,
        retryable: bool = False,
        report: Report | None = None,
    ) -> None:
        super().__init__(message, cause, retryable, report)
        self.message = message
        self.cause = cause
        self.retryable = retryable
        self.report = report

    def __str__(self) -> str:
        return self.message


class SourceError(DriftCheckError):
    """An outside system (Cloud Run, git, the ledger) could not be asked or answered nonsense.

    ``retry_after`` is how many seconds it asks to be left alone, None where it does not say.
    """

    def __init__(
        self,
        message: str,
        cause: Cause,
        retryable: bool = False,
        report: Report | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, cause, retryable, report)
        self.args = (*self.args, retry_after)
        self.retry_after = retry_after

    @classmethod
    def of(cls, unknown: Unanswered) -> SourceError:
        """The error that says what ``unknown`` says, for a caller that has to stop at once."""
        return cls(unknown.message, unknown.cause, unknown.retryable)


class JournalError(DriftGateError):
    """The journal cannot be read or written: one sentence that names it and the next step."""


class DeployError(DriftGateError):
    """A deploy ended before what it was to deploy serves: one sentence that says why and what serves now."""


class BuildError(DeployError):
    """The image could not be built or pushed; nothing that serves has changed."""


class CandidateError(DeployError):
    """The new revision does not start, or is not fit to serve; the traffic is where it was before."""


class OvertakenError(DeployError):
    """Going on would go backwards: something newer serves, is on its way, or has taken this one's place."""


class SplitChangedError(DeployError):
    """The workload is not as it was when it was read, so that nothing was changed."""


class DeploymentDriftError(DriftGateError):
    """The batch must not start: the worker does not run what the target ref says it should.

    ``verdict`` is the full judgement (None only where the error was built by hand); the message is
    what an operator reads: live commit, target, what is missing, since when, and the lines to paste.
    """

    def __init__(self, message: str, verdict: Judgement | None = None) -> None:
        super().__init__(message, verdict)
        self.message = message
        self.verdict = verdict

    def __str__(self) -> str:
        return self.message


class DriftUnknownError(DeploymentDriftError):
    """The batch must not start: whether the worker is current could not be found out."""
