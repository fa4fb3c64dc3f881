"""Real web servers with the ready-made routes of a worker's fingerprint."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import uvicorn
from fastapi import FastAPI
from flask import Flask
from werkzeug.serving import make_server

from drift_gate.fingerprint import Fingerprint, blueprint, router


@contextlib.contextmanager
def fastapi_worker(taken: Fingerprint, *paths: str) -> Iterator[int]:
    """The port of a FastAPI application under uvicorn that answers at ``paths``."""
    app = FastAPI()
    for path in paths or ("/version",):
        app.include_router(router(taken, path))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        assert serving.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    serving.join()


@contextlib.contextmanager
def flask_worker(taken: Fingerprint, *paths: str) -> Iterator[int]:
    """The port of a Flask application under Werkzeug's server that answers at ``paths``."""
    app = Flask("worker")
    for number, path in enumerate(paths or ("/version",)):
        app.register_blueprint(blueprint(taken, path), name=f"fingerprint{number}")
    with make_server("127.0.0.1", 0, app, threaded=True) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


#: Either of them.
Worker = Callable[..., AbstractContextManager[int]]
