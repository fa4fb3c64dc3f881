"""At which addresses the judged service answers: what a batch is sent to is held against them."""

from __future__ import annotations

from google.cloud import run_v2

from drift_gate.sources.cloud_run.messages import addresses

HASHED, NUMBERED = "https://w-abc123-ew.a.run.app", "https://w-1234.europe-west1.run.app"


def test_are_both_forms_of_its_own_and_those_of_its_tags_below_each() -> None:
    service = run_v2.Service(
        uri=HASHED,
        urls=[NUMBERED, HASHED],
        traffic_statuses=[run_v2.TrafficTargetStatus(tag="v2", uri="https://v2---w-abc123-ew.a.run.app")],
    )
    assert addresses(service, ["v2"]) == (
        HASHED,
        NUMBERED,
        "https://v2---w-abc123-ew.a.run.app",
        "https://v2---w-1234.europe-west1.run.app",
    )


def test_are_none_of_what_answers_nobody() -> None:
    assert addresses(run_v2.WorkerPool(), []) == ()
    assert addresses(run_v2.Service(), ["v2"]) == ()
