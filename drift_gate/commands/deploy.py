"""``deployment-drift deploy``: closes the gap of one service.

Exit codes: 0 it runs the commit, and the gate allows or warns; 1 the image could not be built, or the gate
denies it all the same; 2 usage or configuration; 3 it could not be determined, and may be repeated; 5 what
serves, or is on its way, is newer; 6 the new revision is not healthy, and the traffic is where it was.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK, OVERTAKEN, UNKNOWN
from drift_gate.presentation.plain_text import plain
from drift_gate.runtime import signals

if TYPE_CHECKING:
    from drift_gate.settings.file import Settings


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Deploy what SERVICE lacks: build the commit from a clean export, release it without traffic, prove "
        "it, and move the traffic, forward only. Nothing is done where nothing relevant is missing. Repeat "
        "it whenever it was interrupted. Exit code: 0 it runs the commit; 1 the image could not be built, or "
        "the gate denies it all the same; 2 usage or configuration; 3 it could not be determined; 5 what "
        "serves, or is on its way, is newer; 6 the new revision is not healthy, and the traffic is where it "
        "was."
    )
    command.add_argument("service", metavar="SERVICE")
    command.add_argument(
        "--commit", metavar="COMMIT", help="a commit of the target's history (default: the target itself)"
    )
    command.add_argument(
        "--to",
        type=_percents,
        metavar="PERCENTS",
        help="the shares of the traffic that it gets one after the other, such as 10,50,100 (default: the "
        "key `traffic`)",
    )
    command.add_argument(
        "--replace",
        metavar="REVISION",
        help="replace this live revision although it has something that the commit lacks, or nobody knows "
        "what it runs, or it was rolled back to",
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _percents(text: str) -> tuple[int, ...]:
    try:
        found = sorted({int(each) for each in text.split(",")})
    except ValueError:
        found = [0]
    if not all(0 < each <= 100 for each in found):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of percents such as 10,50,100")
    return tuple(dict.fromkeys([*found, 100]))


@signals.in_order()
def run(arguments: argparse.Namespace) -> int:
    """Deploy, or say what would be done; the verdict of the gate is the last word."""
    from drift_gate.wiring import deploys

    settings = _with_steps(settings_of(arguments), arguments)
    if arguments.dry_run:
        return _dry(settings, arguments)
    made, outcome = deploys.deploy(
        arguments.service,
        settings=settings,
        say=told,
        commit=arguments.commit,
        replace=arguments.replace,
    )
    verdict, word = outcome.services[0], deploys.word(made, outcome)
    reasons = "".join(f"\n  {each.decision:<5} {each.code}: {each.message}" for each in verdict.reasons)
    print("\n".join(map(plain, f"{word}{reasons}".split("\n"))))
    return outcome.exit_code


def _with_steps(settings: Settings, arguments: argparse.Namespace) -> Settings:
    if arguments.to is None:
        return settings
    service = settings.service(arguments.service)
    changed = service.model_copy(update={"traffic": arguments.to})
    return settings.model_copy(update={"services": {**settings.services, arguments.service: changed}})


def _dry(settings: Settings, arguments: argparse.Namespace) -> int:
    from drift_gate.commands.console import draw
    from drift_gate.presentation import plan_text
    from drift_gate.presentation.plans import Plans
    from drift_gate.wiring import deploys

    shown = deploys.planned(
        arguments.service, settings=settings, commit=arguments.commit, replace=arguments.replace
    )
    draw(plan_text.table(Plans(planned_at=deploys.utc_now(), services=(shown,))), no_color=arguments.no_color)
    return {"unknown": UNKNOWN, "stop": OVERTAKEN}.get(shown.action, OK)


def told(step: str, sentence: str) -> None:
    """Say on stderr what is going on."""
    number = f"{_STEPS.index(step) + 1}" if step in _STEPS else ""
    print(f"{number:>2} {step:<8} {plain(sentence)}", file=sys.stderr, flush=True)


_STEPS = ("lock", "plan", "build", "push", "release", "prove", "forward", "move", "watch")
