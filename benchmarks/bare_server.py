"""What somebody would write who wants completions kept and nothing else: FastAPI, one insert, one commit."""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
import sys
import threading

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Message(BaseModel):
    """The part of a push that is read."""

    data: str


class Envelope(BaseModel):
    """What Pub/Sub posts."""

    message: Message


def app(file: str) -> FastAPI:
    """Keeps each completion as a row of ``file``, as safe as ours: WAL, and SQLite's own ``synchronous``."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS results (player_id TEXT, batch_id TEXT, points REAL)")
    one, api = threading.Lock(), FastAPI()

    @api.post("/complete")
    def complete(envelope: Envelope) -> dict[str, str]:
        told = json.loads(base64.b64decode(envelope.message.data))
        row = (told["request_id"], told["batch_id"], told["prediction"]["points"])
        with one:
            connection.execute("INSERT INTO results VALUES (?, ?, ?)", row)
        return {"applied": "counted"}

    return api


def main() -> None:
    """Serve on a free port, which is printed as ``prediction-coordinator serve`` does."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        print("listening on 127.0.0.1 port", sock.getsockname()[1], file=sys.stderr, flush=True)
        config = uvicorn.Config(
            app(sys.argv[1]), log_config=None, access_log=False, lifespan="off", http="h11", loop="asyncio"
        )
        uvicorn.Server(config).run([sock])


if __name__ == "__main__":
    main()
