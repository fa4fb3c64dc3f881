"""``deployment-drift``: arguments, printing, exit codes. Data on stdout, talk on stderr."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from drift_gate.commands import require, trace
from drift_gate.commands.console import draw, draw_unfolded, talk_on_stderr
from drift_gate.commands.trace import duration
from drift_gate.errors import DriftConfigError, DriftGateError
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS
from drift_gate.policy.verdict import Outcome
from drift_gate.presentation import render
from drift_gate.runtime import signals
from drift_gate.settings.file import Settings, load, near_misses

OK, USAGE, UNEXPECTED, INTERRUPTED = 0, 2, 3, 130


@signals.heeded()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` None means the process's own arguments. Returns the exit code."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    talk_on_stderr()
    run: Callable[[argparse.Namespace], int] = arguments.run
    return exit_code_of(lambda: run(arguments), "deployment-drift")


#: The commands that run another one, which stands after ``--``.
_RUNNING = ("trace", "require")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, and as ``command`` what stands after the first ``--`` where that is run.

    It is cut off first: argparse takes each later ``--`` out of it, too.
    """
    runs = bool(argv) and argv[0] in _RUNNING and "--" in argv
    at = list(argv).index("--") if runs else len(argv)
    return parser().parse_args(argv[:at], argparse.Namespace(command=argv[at + 1 :]))


def exit_code_of(run: Callable[[], int], program: str) -> int:
    """``run()``'s exit code, or the one of the error that it ended with, in one sentence on stderr."""
    try:
        return run()
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except DriftConfigError as error:
        print(f"{program}: {render.plain(str(error))}", file=sys.stderr)
        return USAGE
    except DriftGateError as error:
        print(f"{program}: {render.plain(str(error))}", file=sys.stderr)
        return UNEXPECTED
    except Exception as error:  # a bug of ours: the sentence for the operator, the traceback for us
        sentence = render.plain(f"{type(error).__name__}: {error}")
        logging.getLogger("drift_gate").error("%s: unexpected error: %s", program, sentence, exc_info=True)
        return UNEXPECTED


def parser() -> argparse.ArgumentParser:
    """The arguments that ``deployment-drift`` takes."""
    root = argparse.ArgumentParser(
        prog="deployment-drift",
        description="Does the live worker run the code that the target ref says it should?",
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser(
        "check",
        help="judge the declared services and say why",
        description="Judge the declared services. Exit code: 0 allow, warn or not enforced; 1 an enforced "
        "denial from known drift; 3 a denial because it could not be determined, or an unexpected "
        "error; 2 usage or configuration; 130 interrupted. Bypasses are ignored.",
    )
    check.add_argument("services", nargs="*", metavar="SERVICE", help="a declared service; none means all")
    check.add_argument(
        "--format", choices=[each.value for each in render.Format], default="table", help="what to print"
    )
    check.add_argument(
        "--verbose", action="store_true", help="list each undeployed commit with its relevant paths"
    )
    add_wait(check)
    check.add_argument(
        "--inventory",
        action="store_true",
        help="also name the live services of each project and region that nothing declares",
    )
    check.set_defaults(run=_check)

    record = commands.add_parser(
        "record",
        help="note in the ledger that a service runs a commit",
        description="Append to the ledger that SERVICE now runs the commit SHA.",
    )
    record.add_argument("service", metavar="SERVICE")
    record.add_argument("--commit", required=True, metavar="SHA", help="the commit that was deployed")
    record.set_defaults(run=_record)

    explain = commands.add_parser(
        "explain",
        help="say what a reason code or a cause means and what to do",
        description="Say what a reason code or a cause of an unknown means and what to do.",
    )
    explain.add_argument("code", metavar="CODE", help="such as too-many-commits-behind or shallow-history")
    explain.set_defaults(run=_explain)
    acknowledge = commands.add_parser(
        "acknowledge",
        help="print the table that acknowledges what is denied now, until a time",
        description="Print the [[acknowledged]] table for what is denied now for SERVICE. Put it into "
        "drift.toml, or merge it into the target ref. Writes nothing. It ends at its time, when another "
        "commit is live, or when something else denies too. Exit code: 0 printed, or nothing is denied; 3 "
        "something could not be determined, which nobody can acknowledge.",
    )
    acknowledge.add_argument("service", metavar="SERVICE")
    acknowledge.add_argument(
        "--until",
        required=True,
        metavar="TIME",
        help="when it ends, at most 90 days ahead: a date (its first moment, UTC) or an ISO time",
    )
    acknowledge.add_argument("--reason", required=True, metavar="WHY", help="why this is as it should be")
    acknowledge.set_defaults(run=_acknowledge)
    bypass = commands.add_parser(
        "bypass",
        help="print the lines that set and remove a bypass on the coordinator, until a time",
        description="Print the line that lets every start of a coordinator go past the gate until a time, "
        "and the one that ends it. Writes and changes nothing, and needs no valid drift.toml: what it does "
        "not know is in capitals. Exit code: 0 printed; 2 usage.",
    )
    bypass.add_argument(
        "--for",
        required=True,
        type=duration,
        metavar="DURATION",
        dest="seconds",
        help="how long, at most a day (90, 90s, 90m, 2h)",
    )
    bypass.add_argument("service", nargs="?", metavar="SERVICE", help="the service that runs the gate")
    bypass.set_defaults(run=_bypass)
    warm = commands.add_parser(
        "warm",
        help="clone or refresh the mirrors of declared addresses",
        description="Clone or refresh the mirror of each declared repository address, for the build of an "
        "image or the start of a server. Exit code: 0 done; 3 a repository could not be mirrored.",
    )
    warm.set_defaults(run=_warm)

    why = commands.add_parser(
        "why",
        help="say why a path or a commit counts for a service",
        description="Say why a path, or each path of an undeployed commit, counts for SERVICE, or why not.",
    )
    why.add_argument("service", metavar="SERVICE")
    why.add_argument("what", metavar="PATH|COMMIT", help="a path in the repository, or 7 to 64 hex digits")
    why.set_defaults(run=_why)

    files = commands.add_parser(
        "files",
        help="list the files that count for a service",
        description="List the files that count for SERVICE by folder, each with its reason, and what its "
        "image copies and the worker never imports.",
    )
    files.add_argument("service", metavar="SERVICE")
    files.add_argument("--at", metavar="REF", help="a branch, tag or HEAD (default: the target ref)")
    files.set_defaults(run=_files)

    is_live = commands.add_parser(
        "is-live",
        help="say whether a commit is live",
        description="Say whether COMMIT is live, on which revisions with what share of the traffic, and if "
        "not, what is missing. Exit code: 0 live everywhere; 1 not; 3 it could not be determined.",
    )
    is_live.add_argument("commit", metavar="COMMIT", help="7 to 64 hex digits")
    is_live.add_argument("services", nargs="*", metavar="SERVICE", help="a declared service; none means all")
    is_live.set_defaults(run=_is_live)

    doctor = commands.add_parser(
        "doctor",
        help="look at the set-up step by step and say what to fix",
        description="Look at the real set-up step by step and say what to fix, in order, each with the line "
        "to paste. Changes nothing but what every check refreshes. Exit code: 0 all ok, or warnings; "
        "1 something fails; 2 no valid configuration.",
    )
    doctor.set_defaults(run=_doctor)

    selftest = commands.add_parser(
        "selftest",
        help="prove that this gate, with this policy, allows, warns and denies",
        description="Judge a throw-away repository and a loopback Cloud Run by each service's own policy. "
        "Asks and changes nothing of yours. Exit code: 0 allow, warn, deny and unknown came as "
        "the policy says and drift can be denied; 1 not; 2 no valid configuration; 3 could not be run.",
    )
    selftest.add_argument("services", nargs="*", metavar="SERVICE", help="a declared service; none means all")
    selftest.set_defaults(run=_selftest)
    trace.add(commands)
    require.add(commands)
    return root


def add_wait(command: argparse.ArgumentParser) -> None:
    """``--wait DURATION``, for each command that judges."""
    command.add_argument(
        "--wait",
        type=duration,
        default=0.0,
        metavar="DURATION",
        help="wait for a rollout under way to finish first, at most this long (90, 90s, 10m, 2h); drift that "
        "the rollout would not cure is judged at once",
    )


def _check(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import rollouts

    settings = load()
    outcome = rollouts.check(
        arguments.services, wait=arguments.wait, settings=settings, inventory=arguments.inventory
    )
    show(outcome, render.Format(arguments.format), settings, verbose=arguments.verbose)
    return outcome.exit_code


def show(
    outcome: Outcome, form: render.Format, settings: Settings | None = None, *, verbose: bool = False
) -> None:
    """Print the verdicts on stdout; ``settings`` as in ``render.table``."""
    if form in render.TEXT:
        sys.stdout.write(render.TEXT[form](outcome, verbose=verbose))
    else:
        draw(render.table(outcome, settings, verbose=verbose))


def _record(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import checks

    settings = load()
    checks.record(arguments.service, arguments.commit, settings)
    print(f"recorded: {arguments.service} runs {arguments.commit}", file=sys.stderr)
    return OK


def _explain(arguments: argparse.Namespace) -> int:
    code = arguments.code
    meaning: list[tuple[str, str]]
    if code in REASONS:
        reason = REASONS[code]
        meaning = [("decides", reason.decision), ("when", reason.when), ("to do", reason.todo)]
    elif code in CAUSE_MEANINGS:
        when, todo = CAUSE_MEANINGS[code]
        meaning = [("cause of", "unknown-drift"), ("when", when), ("to do", todo)]
    else:
        hint = near_misses(code, [*REASONS, *CAUSE_MEANINGS])
        known = ", ".join([*REASONS, *CAUSE_MEANINGS])
        raise DriftConfigError(f"no reason code and no cause {code!r}{hint} (known: {known})")
    draw(render.explained(code, meaning))
    return OK


def _acknowledge(arguments: argparse.Namespace) -> int:
    from drift_gate.policy import acknowledgements
    from drift_gate.wiring import checks

    until = acknowledgements.ending(arguments.until, checks.utc_now())
    if not arguments.reason.strip():
        raise DriftConfigError("--reason: say why this is as it should be")
    verdict = checks.check([arguments.service], record=False).services[0]
    tables = acknowledgements.tables(verdict, until, arguments.reason)
    if tables:
        sys.stdout.write(tables)
    else:
        print(f"{verdict.service}: nothing is denied, there is nothing to acknowledge", file=sys.stderr)
    return OK


def _bypass(arguments: argparse.Namespace) -> int:
    from drift_gate.commands import bypass as bypassing

    try:
        settings = load()
    except DriftConfigError as error:
        settings = None
        print(f"settings not used: {render.plain(str(error))}", file=sys.stderr)
    lines = bypassing.bypass(arguments.service, arguments.seconds, settings, datetime.now(UTC))
    for told in lines.told():
        print(told, file=sys.stderr)
    for line in lines.printed(arguments.seconds):
        print(line)
    return OK


def _warm(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import checks

    warmed = checks.warm()
    for address, target in warmed.items():
        print(render.plain(f"{address}: {target.ref} is at {target.commit[:12]}"))
    if not warmed:
        print("no service has a repository address: there is nothing to mirror", file=sys.stderr)
    return OK


def _why(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import checks

    target, answers = checks.why(arguments.service, arguments.what)
    if answers is None:
        ref = render.plain(target.ref)
        print(f"{arguments.what} is not between what is live and {ref}: no count holds it")
        return OK
    for answer in answers:
        print(render.reason_chain(answer.path, answer.because, answer.why_not))
    return OK


def _files(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import checks

    commit, selected = checks.selection_at(arguments.service, arguments.at)
    for line in render.file_list(commit, selected):
        print(line)
    return OK


def _is_live(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import checks

    code = OK
    for service, found in checks.is_live(arguments.commit, arguments.services).items():
        for each in found:
            for line in render.liveness(service, arguments.commit, each):
                print(line)
            code = max(code, {True: OK, False: 1, None: UNEXPECTED}[each.live])
    return code


def _doctor(_: argparse.Namespace) -> int:
    from drift_gate.commands import doctor, doctor_steps

    steps = []
    for step in doctor.examine():
        steps.append(step)
        draw_unfolded(step.drawn())
    return doctor_steps.exit_code(steps)


def _selftest(arguments: argparse.Namespace) -> int:
    from drift_gate.commands import selftest

    code = OK
    for each in selftest.run(arguments.services, settings=load()):
        draw_unfolded(each.drawn())
        code = code if each.passed else 1
    return code
