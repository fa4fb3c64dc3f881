"""The command line of the loopback Cloud Run: one process serves it, others change what is deployed to it."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from drift_gate.testing.cloud_run.control import ask
from drift_gate.testing.cloud_run.server import FakeCloudRun

_DESCRIPTION = """\
A Cloud Run Admin API on a port of this machine. Without a command it serves until Ctrl-C; a command changes
what is deployed to the one that serves at PORT, and shows what serves then.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run it. Exit codes: 0; 1 nobody serves at the port, or what was asked makes no sense there; 2 usage."""
    arguments = _parser().parse_args(argv)
    if arguments.do is None:
        return _serve(arguments)
    values = {key: each for key, each in vars(arguments).items() if key not in ("do", "port", *_PLACE)}
    try:
        ask(f"127.0.0.1:{arguments.port}", arguments.do, **values)
        for line in _shown(arguments.port, arguments.name, arguments.kind):
            print(line)
    except grpc.RpcError as error:
        failed: Any = error  # of a call, it has a code and details
        where = f"python -m drift_gate.testing.cloud_run --port {arguments.port}"
        nobody = failed.code() == grpc.StatusCode.UNAVAILABLE
        print(f"nobody serves there; first run `{where}`" if nobody else failed.details(), file=sys.stderr)
        return 1
    return 0


_PLACE = ("project", "region")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m drift_gate.testing.cloud_run", description=_DESCRIPTION)
    parser.add_argument("--port", type=int, required=True, help="where it serves, on 127.0.0.1")
    parser.add_argument("--project", default="test-project", help="(default: %(default)s)")
    parser.add_argument("--region", default="us-west2", help="(default: %(default)s)")
    commands = parser.add_subparsers(metavar="COMMAND")
    parser.set_defaults(do=None)
    for word, do, said in (
        ("deploy", "deploy", "a new revision, which is ready at once"),
        ("roll-out", "roll_out", "begin a deploy that is not over before `land` or `fail`"),
    ):
        command = _command(commands, word, do, said)
        command.add_argument("--commit", help="the commit of its label and of its image's tag")
        command.add_argument("--image", help="the image (default: one whose tag is the commit)")
        command.add_argument("--env", type=_pair, action=_Pairs, metavar="NAME=VALUE", help="a variable")
        command.add_argument(
            "--no-traffic", dest="traffic", action="store_false", help="pin what serves, as gcloud does"
        )
    pin = _command(commands, "pin", "pin", "send all of the traffic to one revision, as a rollback does")
    pin.add_argument("revision", metavar="REVISION")
    split = _command(commands, "split", "set_traffic", "split the traffic")
    split.add_argument(
        "split",
        type=_share,
        action=_Pairs,
        nargs="+",
        metavar="REVISION=PERCENT",
        help="`latest` follows the latest ready revision",
    )
    _command(commands, "land", "land", "end a rollout well")
    _command(commands, "fail", "fail", "end a rollout badly: what served goes on serving")
    return parser


def _command(commands: Any, word: str, do: str, said: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(word, help=said, description=said)
    command.set_defaults(do=do)
    command.add_argument("name", metavar="NAME", help="of the service or worker pool")
    kinds = ("service", "worker-pool", "job") if do == "deploy" else ("service", "worker-pool")
    command.add_argument("--kind", choices=kinds, default="service", help="(default: %(default)s)")
    return command


def _pair(text: str) -> tuple[str, str]:
    key, equal, value = text.partition("=")
    if not key or not equal:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return key, value


def _share(text: str) -> tuple[str, int]:
    revision, _, percent = text.partition("=")
    if not revision or not percent.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no REVISION=PERCENT")
    return revision, int(percent)


class _Pairs(argparse.Action):
    """Each pair that is given becomes one of a dictionary."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        given = values if isinstance(values, list) else [values]
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), **dict(given)})


def _serve(arguments: argparse.Namespace) -> int:
    """Until Ctrl-C or SIGTERM."""
    with _held(signal.SIGINT, signal.SIGTERM) as numbers:  # before there are threads, which inherit it
        try:
            socket.create_server(("127.0.0.1", arguments.port)).close()  # gRPC would share it
        except OSError:
            print(f"port {arguments.port} is taken; choose another one with --port", file=sys.stderr)
            return 1
        with FakeCloudRun(arguments.project, arguments.region, arguments.port) as cloud:
            print(f"Cloud Run for {arguments.project} in {arguments.region}. In another terminal:")
            print(f"  export CLOUD_RUN_EMULATOR_HOST={cloud.host}", flush=True)
            signal.sigwait(numbers)
    return 0


@contextmanager
def _held(*numbers: signal.Signals) -> Iterator[tuple[signal.Signals, ...]]:
    """Within the block these signals wait to be asked for; what is started later inherits nothing."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield numbers
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _shown(port: int, name: str, kind: str) -> Iterator[str]:
    """What serves the workload, by name and percent."""
    told = ask(f"127.0.0.1:{port}", "describe", name=name, kind=kind)
    for part in told["serving"]:
        yield f"{part['percent']:3d} %  {part['revision']}{_labels(part['labels'])}"
    if told["coming"]:
        yield f"{told['coming']} is on its way"
    elif told["failure"]:
        yield str(told["failure"]).partition("\n")[0]


def _labels(labels: dict[str, str]) -> str:
    return "".join(f"  {key}={value}" for key, value in labels.items())
