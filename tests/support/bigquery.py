"""A BigQuery on the loopback interface: the REST calls of one query, its pages included, and of one table."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

#: The slate's columns as BigQuery types them.
SCHEMA = [
    {"name": "game_id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "game_date", "type": "DATE", "mode": "NULLABLE"},
    {"name": "player_id", "type": "INTEGER", "mode": "NULLABLE"},
    {"name": "player_name", "type": "STRING", "mode": "NULLABLE"},
    {"name": "team", "type": "STRING", "mode": "NULLABLE"},
    {"name": "opponent", "type": "STRING", "mode": "NULLABLE"},
    {"name": "recent_points", "type": "FLOAT", "mode": "REPEATED"},
]


class FakeBigQuery:
    """Answers every query with ``rows`` of ``schema``; keeps what it was asked.

    ``fails`` is the HTTP status, reason and message that each call gets instead. ``hangs_after`` is how
    many answers are given before there is none any more; None: it never hangs.

    ``tables`` are those that were made, by their path, ``streamed`` the rows that they took, each with its
    insert id; ``refuses`` says what is wrong with a row, None: nothing.
    """

    def __init__(
        self, rows: Sequence[Sequence[Any]] = (), schema: Sequence[dict[str, str]] = tuple(SCHEMA)
    ) -> None:
        self.rows = rows
        self.schema = schema
        self.fails: tuple[int, str, str] | None = None
        self.hangs_after: int | None = None
        self.queries: list[dict[str, Any]] = []
        self.pages = 0
        self.tables: dict[str, dict[str, Any]] = {}
        self.streamed: list[tuple[str, dict[str, Any]]] = []
        self.refuses: Callable[[dict[str, Any]], str | None] = lambda _: None
        self.ended = threading.Event()
        self.port = 0

    def client(self, project: str) -> Client:
        """The real client, pointed here."""
        return Client(
            project=project,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # google-auth's has no types
            client_options=ClientOptions(api_endpoint=f"http://127.0.0.1:{self.port}"),
        )

    def query(self, project: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """``jobs.query``: the first page."""
        self.queries.append({"project": project, **asked})
        return 200, self._page(project, 0, asked["maxResults"])

    def table(self, method: str, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """``tables.get``, ``.insert``, ``.patch`` and ``tabledata.insertAll``."""
        if path.endswith("/insertAll"):
            return self._insert(self.tables.get(path.removesuffix("/insertAll")), asked)
        if method == "POST":
            path = f"{path}/{asked['tableReference']['tableId']}"
        elif path not in self.tables:
            return _error(404, "notFound", "Not found: Table")
        if method != "GET":
            self.tables[path] = {**self.tables.get(path, {}), **asked}
        return 200, self.tables[path]

    def _insert(self, table: dict[str, Any] | None, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if table is None:
            return _error(404, "notFound", "Not found: Table")
        fields = {each["name"]: each for each in table["schema"]["fields"]}
        required = {name for name, each in fields.items() if each.get("mode") == "REQUIRED"}
        errors = []
        for index, row in enumerate(asked["rows"]):
            told = row["json"]
            wrong = [f"no such field: {name}." for name in told if name not in fields]
            wrong += [f"Missing required field: {name}." for name in required if told.get(name) is None]
            if refused := self.refuses(told):
                wrong.append(refused)
            if wrong:
                errors.append({"index": index, "errors": [{"reason": "invalid", "message": wrong[0]}]})
        bad = {each["index"] for each in errors}
        if errors and not asked.get("skipInvalidRows"):
            bad = set(range(len(asked["rows"])))
        taken = [row for index, row in enumerate(asked["rows"]) if index not in bad]
        self.streamed += [(row["insertId"], row["json"]) for row in taken]
        return 200, {"insertErrors": errors} if errors else {}

    def results(self, project: str, asked: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """``jobs.getQueryResults``: the page that the token names."""
        first = int(asked.get("pageToken", ["0"])[0])
        return 200, self._page(project, first, int(asked.get("maxResults", ["0"])[0]))

    def job(self, project: str) -> tuple[int, dict[str, Any]]:
        """``jobs.get``: it is done."""
        return 200, {**self._head(project), "status": {"state": "DONE"}, "configuration": {"query": {}}}

    def _page(self, project: str, first: int, most: int) -> dict[str, Any]:
        self.pages += most > 0
        page = {
            **self._head(project),
            "schema": {"fields": [*self.schema]},
            "jobComplete": True,
            "totalRows": str(len(self.rows)),
            "rows": [_encoded(row) for row in self.rows[first : first + most]],
        }
        if first + most < len(self.rows):
            page["pageToken"] = str(first + most)
        return page

    def _head(self, project: str) -> dict[str, Any]:
        return {"jobReference": {"projectId": project, "jobId": "job-1", "location": "US"}}


def _error(status: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return status, {"error": error}


def _encoded(row: Sequence[Any]) -> dict[str, Any]:
    return {"f": [{"v": _cell(value)} for value in row]}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return [{"v": _cell(each)} for each in value]
    return None if value is None else str(value)


@contextmanager
def serving(fake: FakeBigQuery) -> Iterator[FakeBigQuery]:
    """``fake`` on a free port of the loopback interface, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(self._asked(body))

        do_PATCH = do_POST

        def do_GET(self) -> None:
            self._answer(self._asked({}))

        def _asked(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            address = urlsplit(self.path)
            if fake.fails and "/jobs" not in address.path:
                if self.command == "POST" and "/tables" not in address.path:
                    fake.queries.append({"project": self._project(), **body})
                return _error(*fake.fails)
            if "/tables" in address.path:
                return fake.table(self.command, address.path, body)
            if self.command == "POST":
                return fake.query(self._project(), body)
            if "/queries/" in address.path:
                return fake.results(self._project(), parse_qs(address.query))
            return fake.job(self._project())

        def _project(self) -> str:
            return self.path.split("/projects/")[1].split("/")[0]

        def _answer(self, answer: tuple[int, dict[str, Any]]) -> None:
            if fake.hangs_after is not None and fake.pages > fake.hangs_after:
                fake.ended.wait(60)
                self.close_connection = True
                return
            text = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = _Server(("127.0.0.1", 0), Handler)
    fake.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.ended.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
