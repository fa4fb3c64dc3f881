"""``prediction-coordinator serve``: arguments, and the one place that loads the server."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from drift_gate.settings.file import environment
from predictions.coordinator.config import Config
from predictions.coordinator.exceptions import MissingExtraError
from predictions.coordinator.http import access
from predictions.coordinator.wiring import open_coordinator

log = logging.getLogger("prediction_coordinator")

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = (
    "Serve the coordinator over HTTP until SIGTERM or Ctrl-C. COORDINATOR_ACCESS sets who may do what "
    "(docs/access.md); without it only a loopback address is listened on. Exit code: 0 ended by SIGTERM; "
    "2 usage or configuration; 3 an unexpected error; 130 interrupted."
)


def add(commands: Commands) -> None:
    """Offer the command ``serve``."""
    command = commands.add_parser("serve", help="serve over HTTP", description=_DESCRIPTION)
    command.add_argument(
        "--host",
        metavar="ADDRESS",
        help="where to listen (default: 0.0.0.0 where PORT is set, as Cloud Run does, else 127.0.0.1)",
    )
    command.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="the port; 0 is a free one (default: PORT, else 8080)",
    )
    command.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    try:
        from predictions.coordinator.http import server
        from predictions.coordinator.http.app import App
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"fastapi", "starlette", "uvicorn"}:
            raise MissingExtraError.of("serve", "serve") from error
        raise
    environ = environment()
    host, port = server.address(arguments.host, arguments.port, environ)
    who = access.read(environ, host)
    config = Config.of(environ)
    if not who.bypass_possible:
        log.warning("nobody may bypass a check over HTTP: docs/access.md says how to let somebody")
    with open_coordinator(config) as coordinator, server.listen(host, port) as sock:
        server.run(App(server.parts(coordinator, config, who)), sock)
    return 0
