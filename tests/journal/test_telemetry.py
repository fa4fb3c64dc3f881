"""Spans and metrics of a check, as OpenTelemetry's own SDK receives them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from support import telemetry as telemetry_support
from support.telemetry import BROKEN, SPANS, counted, listen, more
from support.world import WORKER, World

from drift_gate.errors import DeploymentDriftError, DriftConfigError
from drift_gate.journal import telemetry
from drift_gate.runtime import background
from drift_gate.wiring import checks
from shared.utils.deployment_checker import require_current_worker

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> None:
    listen()


@pytest.fixture(autouse=True)
def _from_zero() -> Iterator[None]:
    SPANS.clear()
    yield
    BROKEN.fails_at = None


def spans() -> list[ReadableSpan]:
    return telemetry_support.spans("driftgate.check")


def behind(world: World, commits: int) -> World:
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(commits):
        world.change()
    return world


class TestASpan:
    def test_says_what_the_check_came_to(self, world: World) -> None:
        settings = behind(world, 4).settings()
        with pytest.raises(DeploymentDriftError):
            require_current_worker(settings=settings)
        (span,) = spans()
        attributes = dict(span.attributes or {})
        age = attributes.pop("driftgate.drift_age")
        (revision,) = attributes.pop("driftgate.live.revisions")  # type: ignore[misc]  # a tuple
        assert isinstance(age, (int, float))
        assert str(revision).startswith(WORKER)
        assert attributes == {
            "driftgate.decision": "deny",
            "driftgate.services": (WORKER,),
            "driftgate.status": "behind",
            "driftgate.enforced": True,
            "driftgate.reasons": ("too-many-commits-behind",),
            "driftgate.commits_behind": 4,
            "driftgate.live.commits": (world.first,),
            "vcs.ref.head.name": "refs/heads/main",
            "vcs.ref.head.revision": world.history.tip("main"),
        }

    def test_of_a_denial_is_no_error(self, world: World) -> None:
        """The check did what it is for."""
        checks.check(settings=behind(world, 4).settings())
        assert spans()[0].status.status_code is StatusCode.UNSET

    def test_of_an_unknown_is_an_error_with_its_cause_and_no_number(self, world: World) -> None:
        checks.check(settings=world.settings())
        (span,) = spans()
        assert span.status.status_code is StatusCode.ERROR
        attributes = dict(span.attributes or {})
        assert (attributes["error.type"], attributes["driftgate.status"]) == ("not-found", "unknown")
        assert "driftgate.commits_behind" not in attributes

    def test_lies_in_the_span_of_whoever_asks(self, world: World) -> None:
        with trace.get_tracer("application").start_as_current_span("start") as outer:
            checks.check(settings=behind(world, 0).settings())
        assert spans()[0].parent == outer.get_span_context()

    def test_of_a_check_that_is_refused_its_settings_names_the_error(self, world: World) -> None:
        with pytest.raises(DriftConfigError):
            checks.check(["no-such-service"], settings=world.settings())
        (span,) = spans()
        assert span.status.status_code is StatusCode.ERROR
        assert span.events[0].name == "exception"

    @pytest.mark.parametrize("at", ["start", "end"])
    def test_that_cannot_be_kept_changes_no_verdict(self, world: World, at: str) -> None:
        settings = behind(world, 4).settings()
        BROKEN.fails_at = at
        assert checks.check(settings=settings).decision == "deny"
        with pytest.raises(DriftConfigError):
            checks.check(["no-such-service"], settings=settings)


class TestMetrics:
    def test_that_cannot_be_measured_change_no_verdict(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An SDK that gives no instrument; the log says so, and the verdict stands."""
        settings = behind(world, 4).settings()
        monkeypatch.setattr(telemetry, "_histogram", lambda name, description: None)
        monkeypatch.setattr(telemetry, "_counter", lambda name, description: None)
        assert checks.check(settings=settings).decision == "deny"
        assert "MetricsSink could not keep the verdict" in caplog.text

    def test_count_each_verdict_once_by_decision(self, world: World) -> None:
        before, bypasses = counted("driftgate.checks"), counted("driftgate.bypasses")
        measured = counted("driftgate.check.duration").get(("deny",), 0)
        settings = behind(world, 4).settings()
        with pytest.raises(DeploymentDriftError):
            require_current_worker(settings=settings)
        require_current_worker(settings=settings, skip=True, actor="ann", reason="the fix is in")
        background.finish()

        assert more("driftgate.checks", before) == {(WORKER, "deny", True): 1, (WORKER, "deny", False): 1}
        via = (WORKER, "--skip-drift-check")
        assert counted("driftgate.bypasses")[via] == bypasses.get(via, 0) + 1
        assert counted("driftgate.check.duration")[("deny",)] == measured + 2

    def test_count_a_bypass_past_a_broken_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "drift.toml").write_text("no [toml")
        monkeypatch.chdir(tmp_path)
        via = (WORKER, "--skip-drift-check")
        before = counted("driftgate.bypasses").get(via, 0)
        require_current_worker(WORKER, skip=True)
        assert counted("driftgate.bypasses")[via] == before + 1


@pytest.mark.heavy
def test_nothing_of_ours_loads_opentelemetry() -> None:
    """Whoever sets no SDK pays nothing: a check against a ledger, start to end, leaves it unloaded."""
    code = (
        "import sys\nfrom shared.utils.deployment_checker import require_current_worker\n"
        "require_current_worker(skip=True)\nprint('opentelemetry' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
