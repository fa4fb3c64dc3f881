"""A WSGI application behind the gate, as somebody might write it: what gunicorn preloads in a test."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from shared.utils.deployment_checker import (
    DeploymentDriftError,
    DriftUnknownError,
    check_worker_drift,
    require_current_worker,
)

#: Before the fork: channel, threads and memory are there when gunicorn forks.
PRELOADED = (os.getpid(), check_worker_drift("current").status)
#: For how many seconds the parent goes on checking, so that it forks in the middle of a check.
BUSY_S = 2.0


def keep_busy() -> None:
    until = time.monotonic() + BUSY_S
    while time.monotonic() < until:
        check_worker_drift("current")


threading.Thread(target=keep_busy, daemon=True).start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/NAME``: what the gate says of the service NAME, and which process says so."""
    name = environ["PATH_INFO"].strip("/")
    answer: dict[str, object] = {"pid": os.getpid(), "preloaded": PRELOADED}
    try:
        answer["decision"] = require_current_worker(name).decision
    except DriftUnknownError as error:
        answer["decision"] = f"unknown: {error}"
    except DeploymentDriftError as error:
        answer["decision"] = "deny"
        answer["behind"] = error.verdict.report.commits_behind if error.verdict else None
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
