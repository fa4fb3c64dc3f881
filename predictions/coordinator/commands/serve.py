"""``prediction-coordinator serve``: the coordinator over HTTP; the one place that loads the server."""

from __future__ import annotations

import argparse
import logging

from drift_gate.journal.kept_open import KEPT
from drift_gate.settings.location import environment
from predictions.coordinator.config import Config
from predictions.coordinator.exceptions import MissingExtraError
from predictions.coordinator.http import access
from predictions.coordinator.wiring import open_coordinator

log = logging.getLogger("prediction_coordinator")

HELP = "serve over HTTP"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Serve the coordinator over HTTP until SIGTERM or Ctrl-C. COORDINATOR_ACCESS sets who may do what "
        "(docs/access.md); without it only a loopback address is listened on. Exit code: 0 ended by SIGTERM; "
        "2 usage or configuration; 3 an unexpected error; 130 interrupted."
    )
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


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """0: ended by a signal. Raises ``ConfigError`` and ``MissingExtraError``."""
    try:
        from predictions.coordinator.http import server
        from predictions.coordinator.http.app import App
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"fastapi", "jinja2", "markupsafe", "starlette", "uvicorn"}:
            raise MissingExtraError.of("serve", "serve") from error
        raise
    environ = environment()
    host, port = server.address(arguments.host, arguments.port, environ)
    who = access.read(environ, host)
    config = Config.of(environ)
    if not who.bypass_possible:
        log.warning("nobody may bypass a check over HTTP: docs/access.md says how to let somebody")
    with (
        KEPT.wanted(),
        open_coordinator(config) as coordinator,
        server.listen(host, port) as sock,
    ):
        server.run(App(server.parts(coordinator, config, who)), sock)
    return 0
