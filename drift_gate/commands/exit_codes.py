"""What each error means for whoever called the command line: a code and a sentence, the same everywhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping

from drift_gate.commands.stdout import delivered
from drift_gate.errors import (
    CandidateError,
    DeployError,
    DeploymentDriftError,
    DriftConfigError,
    DriftGateError,
    DriftUnknownError,
    OvertakenError,
)
from drift_gate.presentation.plain_text import plain

OK, REFUSED, USAGE, UNEXPECTED, OVERTAKEN, UNFIT, INTERRUPTED = 0, 1, 2, 3, 5, 6, 130
#: It could not be determined. Like an unexpected error: nothing is known, and no pass.
UNKNOWN = UNEXPECTED

#: The exit code for each error; the most specific class counts.
EXIT_CODES: Mapping[type[BaseException], int] = {
    DeploymentDriftError: REFUSED,
    DriftUnknownError: UNKNOWN,
    DriftConfigError: USAGE,
    DeployError: REFUSED,
    OvertakenError: OVERTAKEN,
    CandidateError: UNFIT,
    DriftGateError: UNEXPECTED,
    KeyboardInterrupt: INTERRUPTED,
    Exception: UNEXPECTED,
}


def exit_code_of(
    run: Callable[[], int],
    program: str,
    *,
    codes: Mapping[type[BaseException], int] = EXIT_CODES,
    refusals: tuple[type[Exception], ...] = (DeploymentDriftError,),
) -> int:
    """``run()``'s exit code once its data are delivered, or that of its error, which is told on stderr.

    ``program`` begins the sentence. ``codes``: every error that is raised on purpose, and ``Exception`` for
    all others, which are bugs: their traceback is logged. ``refusals`` speak for themselves.
    """
    try:
        with delivered():
            return run()
    except (Exception, KeyboardInterrupt) as error:
        kind = _kind(error, codes)
        if isinstance(error, refusals):
            print(error, file=sys.stderr)
        elif kind is KeyboardInterrupt:
            print(f"{program}: interrupted", file=sys.stderr)
        elif kind is Exception:
            sentence = plain(f"{type(error).__name__}: {error}")
            logging.getLogger("drift_gate").error(
                "%s: unexpected error: %s", program, sentence, exc_info=True
            )
        else:
            for sentence in sentences(error):
                print(f"{program}: {sentence}", file=sys.stderr)
        return codes[kind]


def sentences(error: BaseException) -> list[str]:
    """What ``error`` says: a line for each mistake of a settings file, else one."""
    said = error.args if isinstance(error, DriftConfigError) else (error,)
    return [plain(str(each)) for each in said]


def code_of(error: BaseException, codes: Mapping[type[BaseException], int] = EXIT_CODES) -> int:
    """The exit code that tells this error from others."""
    return codes[_kind(error, codes)]


def _kind(error: BaseException, codes: Mapping[type[BaseException], int]) -> type[BaseException]:
    return next(each for each in type(error).__mro__ if each in codes)
