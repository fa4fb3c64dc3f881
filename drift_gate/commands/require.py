"""``deployment-drift require``: the gate before a program that is not Python, which it runs where allowed."""

from __future__ import annotations

import argparse
import atexit
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import add_wait, environment_of
from drift_gate.commands.exit_codes import OK
from drift_gate.presentation.plain_text import plain

if TYPE_CHECKING:
    from drift_gate.policy.verdict import Start, Verdict

#: As a shell says it.
NOT_EXECUTABLE, NOT_FOUND = 126, 127
#: What a supervisor sends to the program that it has started.
_HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.usage = (
        "deployment-drift require [--wait DURATION] [--skip-drift-check [--reason TEXT] "
        "[--actor NAME]] SERVICE [-- COMMAND ...]"
    )
    command.description = (
        "Judge SERVICE as the batch's own program would, and run COMMAND only where that is "
        "allowed; it takes this process's place. Exit code: COMMAND's own, 126 it cannot be run, 127 not "
        "found; without one 0 allowed. 1 an enforced denial from known drift; 3 a denial because it could "
        "not be determined, or an unexpected error; 2 usage or configuration; 130 interrupted."
    )
    command.add_argument("service", metavar="SERVICE", help="a declared service")
    add_wait(command)
    bypass = command.add_argument_group("emergency bypass")
    bypass.add_argument(
        "--skip-drift-check",
        action="store_true",
        help="go on whatever the gate says, at once: the check goes on beside COMMAND, and what it says is "
        "overridden and on record with actor and reason",
    )
    bypass.add_argument("--reason", metavar="TEXT", help="why the check is skipped, for the log")
    bypass.add_argument("--actor", metavar="NAME", help="who skips it (default: from the environment)")


def run(arguments: argparse.Namespace) -> int:
    """Judge, and go on as the verdict says. Raises ``DeploymentDriftError``."""
    from drift_gate.commands.console import draw
    from drift_gate.policy.verdict import Outcome
    from drift_gate.presentation import render
    from drift_gate.wiring import enforcement

    verdict = enforcement.require(
        arguments.service,
        skip=arguments.skip_drift_check,
        reason=arguments.reason,
        actor=arguments.actor,
        settings=None,
        environ=environment_of(arguments),
        wait=arguments.wait,
        start=_start(arguments.service, arguments.wait, arguments.command),
    )
    if verdict.break_glass is None:
        draw(
            render.table(Outcome.of([verdict], datetime.now(UTC), 0)), sys.stderr, no_color=arguments.no_color
        )
    return _run(arguments.command, verdict) if arguments.command else OK


def _start(service: str, wait: float, command: Sequence[str]) -> Start:
    """How the command is started again. Without one only the caller knows that."""
    from drift_gate.policy.verdict import Start

    if not command:
        return Start()
    waiting = ["--wait", f"{wait:g}"] if wait else []
    ours, theirs = shlex.join(["deployment-drift", "require", *waiting, service]), shlex.join(command)
    return Start(again=f"{ours} -- {theirs}", bypass=f'{ours} --skip-drift-check --reason "WHY" -- {theirs}')


def _run(command: Sequence[str], verdict: Verdict) -> int:
    """The command in this process's place; under a bypass beside the check, whose trace would be lost."""
    try:
        return _become(command) if verdict.break_glass is None else _beside(command)
    except OSError as error:
        why = plain(f"{command[0]}: {error.strerror or error}")
        print(f"deployment-drift: {why}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


def _become(command: Sequence[str]) -> int:
    """Never returns. Raises ``OSError`` where the command cannot be run."""
    atexit._run_exitfuncs()  # a program that takes our place ends nothing that we have started
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], list(command))  # noqa: S606 (running it is what this is for)


def _beside(command: Sequence[str]) -> int:
    """The command's exit code, as a shell says it, once the skipped check is on record, too."""
    from drift_gate.runtime import background

    with _handed_on() as to, subprocess.Popen(command) as child:
        to(child)
        code = child.wait()
    background.finish()
    return code if code >= 0 else 128 - code


@contextmanager
def _handed_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Hand on what is sent to us, from the first moment, to the child that the block names.

    Ctrl-C at a terminal reaches it without that.
    """
    children: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def hand_on(number: int, _: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT) and _at_a_terminal():
            return
        if not children:
            early.append(number)
        for child in children:
            child.send_signal(number)

    def to(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        for number in early:
            child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in _HANDED_ON}
    try:
        yield to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_a_terminal() -> bool:
    """Whether we are what a terminal's keys speak to."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
