"""``deployment-drift``: collects the commands. Data on stdout, talk on stderr.

A command's module is imported once the command is called: help and explanations come at once, and need
nothing that a broken installation may lack.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, nullcontext
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from drift_gate import __version__
from drift_gate.commands.arguments import add_global
from drift_gate.commands.exit_codes import exit_code_of
from drift_gate.commands.stderr import log_to_stderr
from drift_gate.errors import DriftConfigError
from drift_gate.runtime import forked, signals
from drift_gate.settings.location import environment

PROGRAM = "deployment-drift"
#: The variable by which a shell asks what may stand next on the line, as argcomplete has it.
COMPLETING = "_ARGCOMPLETE"


class Command(Protocol):
    """What the module of a command offers."""

    def declare(self, command: argparse.ArgumentParser) -> None:
        """Give ``command`` its description and its arguments; loads little."""

    def run(self, arguments: argparse.Namespace) -> int:
        """The exit code. Raises ``DriftGateError``."""


class Entry(NamedTuple):
    """A command in the table: its module below ``drift_gate.commands``, and its line of the help."""

    module: str
    help: str

    def load(self) -> Command:
        """The module."""
        return cast(Command, import_module(f"drift_gate.commands.{self.module}"))


COMMANDS = {
    "init": Entry(
        "init", "write a first drift.toml for the repository at hand, and ask for the first verdict"
    ),
    "check": Entry("check", "judge the declared services and say why"),
    "plan": Entry("plan", "say what each service lacks, and what a deploy would do about it"),
    "deploy": Entry("deploy", "deploy what a service lacks: build, prove, move the traffic, watch"),
    "rollback": Entry("rollback", "let an earlier revision serve again, and acknowledge what it lacks"),
    "affected": Entry("affected", "say which services a merge would make stale"),
    "remind": Entry("remind.command", "say what services lack after a commit or a merge, for git's hooks"),
    "hooks": Entry("hooks.command", "install or remove the reminder in this repository's hooks"),
    "monitor": Entry("monitor", "look at all declared services and keep what was seen in the journal"),
    "history": Entry("history", "show what the journal remembers: incidents, deploys and decisions"),
    "stats": Entry("stats", "show how often production was stale and for how long, beside the targets"),
    "report": Entry("report", "report on a week: figures, incidents and their causes"),
    "dashboard": Entry("dashboard", "show as pages what the journal knows: what runs where, and what waits"),
    "record": Entry("record", "note in the ledger that a service runs a commit"),
    "explain": Entry("explain", "say what a reason code or a cause means and what to do"),
    "acknowledge": Entry("acknowledge", "print the table that acknowledges what is denied now, until a time"),
    "bypass": Entry(
        "bypass.command", "print the lines that set and remove a bypass on the coordinator, until a time"
    ),
    "warm": Entry("warm", "make mirrors of declared addresses, and read what images import"),
    "why": Entry("why", "say why a path or a commit counts for a service"),
    "files": Entry("files", "list the files that count for a service"),
    "diff": Entry("diff", "show what the live revision lacks, of the files that count"),
    "schema": Entry("schema", "print the JSON Schema of drift.toml, or of a check's output"),
    "is-live": Entry("is_live", "say whether a commit is live"),
    "notify": Entry("notify", "send a test message to the channels that people are told on"),
    "doctor": Entry("doctor.command", "look at the set-up step by step and say what to fix"),
    "selftest": Entry("selftest.command", "prove that this gate, with this policy, allows, warns and denies"),
    "trace": Entry(
        "trace", "run the worker's command and name the files that it loads and that do not count"
    ),
    "require": Entry(
        "require", "refuse, or run a command, as a Python program does with require_current_worker"
    ),
}
#: New objects after which garbage is looked for: loading keeps 120,000, and one look takes 55 ms.
GARBAGE_AT = 200_000
#: The commands that run another one, which stands after ``--``.
_RUNNING = ("trace", "require")
#: The arguments before a command's name that the next word belongs to.
_WITH_VALUE = ("-C", "--config")


@signals.heeded()
@forked.allowed()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` None means the process's own arguments. Returns the exit code."""
    if COMPLETING in environment():
        from drift_gate.commands.completion import offer

        offer(parser())
    gc.set_threshold(GARBAGE_AT)
    atexit.register(gc.freeze)  # looking for garbage in all of it at the end takes 180 ms
    log_to_stderr()
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["remind"] and not any(word.startswith("-") for word in words):
        from drift_gate.commands.remind.command import remind

        return remind(words[1:])  # a person waits for it: the table of all commands takes longer
    return exit_code_of(lambda: _run(parse(sys.argv[1:] if argv is None else argv)), PROGRAM)


def _run(arguments: argparse.Namespace) -> int:
    run: Callable[[argparse.Namespace], int] = arguments.run
    with _inside(arguments.folder) if arguments.folder is not None else nullcontext():
        return run(arguments)


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    """The block runs in ``folder``. Raises ``DriftConfigError`` where nobody can go there."""
    with ExitStack() as stack:
        try:
            stack.enter_context(chdir(folder))
        except OSError as error:
            raise DriftConfigError(f"-C {folder}: {error.strerror}") from error
        yield


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, and as ``command`` what stands after the first ``--`` where that is run.

    It is cut off first: argparse takes each later ``--`` out of it, too.
    """
    name = _named(argv)
    at = list(argv).index("--") if name in _RUNNING and "--" in argv else len(argv)
    # Whoever begins with a command never sees the others: to add them all takes 3 ms.
    taken = [name] if name in COMMANDS and argv[0] == name else tuple(COMMANDS)
    return parser([name], taken).parse_args(argv[:at], argparse.Namespace(command=argv[at + 1 :]))


def _named(argv: Sequence[str]) -> str | None:
    """The command that ``argv`` names; None: none."""
    words = iter(argv)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def parser(
    loaded: Collection[str | None] = tuple(COMMANDS), taken: Collection[str] = tuple(COMMANDS)
) -> argparse.ArgumentParser:
    """What ``deployment-drift`` takes of the commands ``taken``; one not ``loaded`` has its help alone."""
    root = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Does the live worker run the code that the target ref says it should?",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    add_global(root, shown=True)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for name in taken:
        command = commands.add_parser(name, help=COMMANDS[name].help)
        if name in loaded:
            module = COMMANDS[name].load()
            module.declare(command)
            add_global(command, shown=False)
            command.set_defaults(run=module.run)
    return root
