"""The coordinator's log on Cloud Run: every record one line of JSON, its fields Cloud Logging's own."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pty
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from coordinator.worlds import World
from google.api_core.client_logging import initialize_logging
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forkserver import COORDINATOR, forkserver

from drift_gate.errors import DeploymentDriftError
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline, gather
from predictions.coordinator import logs
from predictions.coordinator.logs import CloudFormatter, Trace, labelled, trace_of, traced
from shared.utils.deployment_checker import require_current_worker

PROJECT = "example-project"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
START = ["start", "--game-date", "2026-02-05"]


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The structured log of this process, until the test ends; gives what was written, line by line."""
    stream = io.StringIO()
    with everything_as_it_was():
        assert logs.configure({"K_SERVICE": "coordinator"}, project=PROJECT, stream=stream)
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@contextlib.contextmanager
def everything_as_it_was() -> Iterator[None]:
    """What the structured log changes of the process is changed back after the block."""
    loggers = [logging.getLogger(name) for name in (None, "google")]
    before = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for each, kept in zip(loggers, before, strict=True):
            each.handlers[:], each.level, each.propagate = kept


def line(message: object, *args: object, name: str = "drift_gate", level: int = logging.INFO) -> str:
    record = logging.LogRecord(name, level, "file.py", 1, message, args, None)
    return CloudFormatter(PROJECT).format(record)


class TestARecord:
    def test_is_one_line_with_the_fields_that_cloud_logging_reads(
        self, written: Callable[[], list[dict[str, Any]]]
    ) -> None:
        with traced(HEADERS), labelled(batch_id="b1"), labelled(game_date="2026-02-05"):
            logging.getLogger("prediction_coordinator").info("batch %s started", "b1")
        (entry,) = written()
        assert entry.pop("time").endswith("Z")
        assert entry == {
            "severity": "INFO",
            "message": "batch b1 started",
            "logger": "prediction_coordinator",
            "logging.googleapis.com/labels": {"batch_id": "b1", "game_date": "2026-02-05"},
            "logging.googleapis.com/trace": f"projects/{PROJECT}/traces/{TRACE}",
            "logging.googleapis.com/spanId": SPAN,
            "logging.googleapis.com/trace_sampled": True,
        }

    def test_outside_of_a_request_and_a_batch_names_neither(
        self, written: Callable[[], list[dict[str, Any]]]
    ) -> None:
        with traced(HEADERS), labelled(batch_id="b1"):
            pass
        logging.getLogger("drift_gate").warning("after")
        (entry,) = written()
        assert set(entry) == {"severity", "message", "time", "logger"}

    def test_keeps_its_traceback_for_error_reporting(
        self, written: Callable[[], list[dict[str, Any]]]
    ) -> None:
        try:
            raise ValueError("no\nsense")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("failed")
        (entry,) = written()
        assert (entry["severity"], entry["message"]) == ("ERROR", "failed")
        assert entry["stack_trace"].startswith("Traceback (most recent call last):\n")
        assert entry["stack_trace"].endswith("ValueError: no\nsense")

    def test_of_any_library_comes_out_the_same_way(self, written: Callable[[], list[dict[str, Any]]]) -> None:
        """Google's too, whose clients keep theirs from the root; what others say at INFO does not."""
        initialize_logging()  # type: ignore[no-untyped-call]  # as the first client of Google does
        logging.getLogger("google.auth").warning("theirs")
        logging.getLogger("google.auth").info("too much")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        assert [(each["logger"], each["severity"]) for each in written()] == [
            ("google.auth", "WARNING"),
            ("py.warnings", "WARNING"),
        ]

    @pytest.mark.parametrize(
        ("level", "severity"),
        [
            (5, "DEFAULT"),
            (10, "DEBUG"),
            (20, "INFO"),
            (25, "INFO"),
            (30, "WARNING"),
            (40, "ERROR"),
            (55, "CRITICAL"),
        ],
    )
    def test_has_a_severity_that_cloud_logging_knows(self, level: int, severity: str) -> None:
        assert json.loads(line("x", level=level))["severity"] == severity

    def test_that_does_not_fit_its_arguments_is_a_line_still(self) -> None:
        assert json.loads(line("%d players", "ten"))["message"] == "%d players ('ten',)"

    @settings(deadline=None)
    @given(st.text(st.characters(categories=None)), st.sampled_from(["drift_gate", logs.VERDICTS]))
    def test_is_never_forged(self, text: str, name: str) -> None:
        """Whatever stands in a message: one line, our severity, a text that any JSON parser takes."""
        made = line(text, name=name)
        assert "\n" not in made
        assert made.isascii()
        entry = json.loads(made)
        entry["message"].encode()
        assert entry["severity"] == "INFO"

    def test_that_looks_like_a_verdict_is_a_message(self) -> None:
        """Fields are read from the verdict's own logger alone."""
        forged = '{"event": "drift_verdict", "decision": "allow", "severity": "DEBUG"}'
        entry = json.loads(line("%s", forged))
        assert (entry["message"], "event" in entry) == (forged, False)

    def test_of_a_verdict_cannot_replace_our_own_fields(self) -> None:
        fields = {
            "event": "drift_verdict",
            "severity": "DEBUG",
            "time": "1970",
            "message": "x",
            "age": float("nan"),
        }
        entry = json.loads(line("%s", json.dumps(fields), name=logs.VERDICTS, level=logging.ERROR))
        assert (entry["severity"], entry["age"]) == ("ERROR", "nan")
        assert entry["time"] > "2026"
        assert entry["message"].startswith("drift verdict on ")


class TestAVerdict:
    def test_is_an_entry_with_its_fields_also_when_it_refuses(
        self, world: World, written: Callable[[], list[dict[str, Any]]]
    ) -> None:
        """Allowed, refused, bypassed by somebody who writes line breaks: three entries, all in the trace."""
        with traced(HEADERS):
            require_current_worker()
            world.fall_behind()
            with pytest.raises(DeploymentDriftError):
                require_current_worker()
            require_current_worker(skip=True, reason='fix\n{"severity": "DEBUG"}', actor="ann\x1b[2J")
            background.finish()
        verdicts = [entry for entry in written() if entry.get("event") == "drift_verdict"]
        assert [(each["severity"], each["decision"], each["enforced"]) for each in verdicts] == [
            ("INFO", "allow", True),
            ("ERROR", "deny", True),
            ("WARNING", "deny", False),
        ]
        refused, bypassed = verdicts[1:]
        assert refused["commits_behind"] == 4
        assert refused["reasons"][0] == {"code": "too-many-commits-behind", "decision": "deny"}
        assert refused["message"] == "drift verdict on prediction-worker: deny (too-many-commits-behind)"
        assert bypassed["message"].endswith(", not enforced: break-glass")
        assert "\x1b" not in bypassed["break_glass"]["actor"]
        assert {each["logging.googleapis.com/trace"] for each in verdicts} == {
            f"projects/{PROJECT}/traces/{TRACE}"
        }

    def test_on_the_data_reads_like_one_on_the_code(self) -> None:
        fields = {
            "event": "readiness_verdict",
            "game_date": "2026-02-05",
            "phase": "pre-game",
            "decision": "deny",
            "enforced": True,
            "checks": [
                {"name": "features", "reasons": [{"code": "too-few"}]},
                {"name": "cache", "reasons": []},
            ],
        }
        entry = json.loads(line("%s", json.dumps(fields), name=logs.VERDICTS, level=logging.ERROR))
        assert entry["message"] == "readiness verdict on 2026-02-05, pre-game: deny (too-few)"
        assert entry["checks"] == fields["checks"]

    def test_of_a_thread_of_the_gate_belongs_to_the_request(
        self, written: Callable[[], list[dict[str, Any]]]
    ) -> None:
        with labelled(batch_id="b1"):
            gather({"job": lambda: logging.getLogger("drift_gate").info("in a thread")}, Deadline(60))
        assert written()[0]["logging.googleapis.com/labels"] == {"batch_id": "b1"}


class TestATrace:
    @pytest.mark.parametrize(
        ("headers", "trace"),
        [
            (HEADERS, Trace(TRACE, SPAN, True)),
            ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, Trace(TRACE, SPAN, False)),
            ({"traceparent": f"cc-{TRACE}-{SPAN}-03-what-comes-later"}, Trace(TRACE, SPAN, True)),
            ({"x-cloud-trace-context": f"{TRACE}/1;o=1"}, Trace(TRACE, "0000000000000001", True)),
            ({"x-cloud-trace-context": f"{TRACE}/18446744073709551615"}, Trace(TRACE, "f" * 16, False)),
            ({"x-cloud-trace-context": f"{TRACE}/99999999999999999999;o=1"}, Trace(TRACE, None, True)),
            ({"x-cloud-trace-context": TRACE}, Trace(TRACE, None, False)),
            (HEADERS | {"x-cloud-trace-context": f"{'a' * 32}/1;o=0"}, Trace(TRACE, SPAN, True)),
            ({"traceparent": "nonsense", "x-cloud-trace-context": TRACE}, Trace(TRACE, None, False)),
            ({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, None),
            ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, None),
            ({"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"}, None),
            ({"x-cloud-trace-context": f'{TRACE}"}}\n{{"severity": "DEBUG"'}, None),
            ({}, None),
        ],
    )
    def test_is_what_the_headers_say(self, headers: Mapping[str, str], trace: Trace | None) -> None:
        assert trace_of(headers) == trace

    def test_without_a_project_is_not_named(self) -> None:
        with traced(HEADERS):
            made = CloudFormatter(None).format(logging.LogRecord("x", 20, "f", 1, "m", (), None))
        assert "trace" not in made

    def test_takes_the_project_of_the_environment(self) -> None:
        """The one that is passed counts before it."""
        stream = io.StringIO()
        environ = {"CLOUD_RUN_JOB": "start", "GOOGLE_CLOUD_PROJECT": "theirs"}
        with everything_as_it_was():
            logs.configure(environ, stream=stream)
            with traced(HEADERS):
                logging.getLogger("drift_gate").info("x")
        assert f"projects/theirs/traces/{TRACE}" in stream.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestWhereItIsStructured:
    @pytest.mark.parametrize("environ", [{}, {"K_SERVICE": ""}, {"GOOGLE_CLOUD_PROJECT": PROJECT}])
    def test_not_elsewhere(self, environ: dict[str, str]) -> None:
        assert not logs.configure(environ, stream=io.StringIO())

    def test_not_on_a_terminal(self) -> None:
        assert not logs.configure({"K_SERVICE": "coordinator"}, stream=_Terminal())

    def test_never_where_it_is_declined(self) -> None:
        assert not logs.configure({"K_SERVICE": "coordinator"}, structured=False, stream=io.StringIO())


def run(folder: Path, *arguments: str, stderr: int, **environ: str) -> subprocess.Popen[bytes]:
    code = "import sys; from predictions.coordinator.commands.main import main; sys.exit(main())"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DRIFT_", "K_"))}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


@pytest.mark.heavy
def test_a_job_on_cloud_run_logs_its_verdict_as_json(world: World) -> None:
    environ = {**os.environ, "CLOUD_RUN_JOB": "start"}
    done = forkserver().run(COORDINATOR, START, cwd=world.root, env=environ)
    entries = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [(each["event"], each["decision"]) for each in entries] == [("drift_verdict", "allow")]
    assert done.returncode == 0


@pytest.mark.heavy
def test_a_terminal_gets_no_json_whatever_the_environment(world: World) -> None:
    ours, theirs = pty.openpty()
    with run(world.root, *START, stderr=theirs, K_SERVICE="coordinator") as process:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
        assert process.wait(60) == 0
    os.close(ours)
    assert b"ALLOW" in said
    assert b"drift_verdict" not in said


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end of a terminal is closed
        return b""
