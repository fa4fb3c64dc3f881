"""The recent revisions that do not serve: read beside the others, briefly, and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.limits import ENOUGH_S

from drift_gate.facts import Live
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.sources.cloud_run.reader import RECENT, CloudRun
from drift_gate.testing.cloud_run import FakeCloudRun

NOON = datetime(2026, 2, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[FakeCloudRun]:
    with FakeCloudRun() as cloud:
        yield cloud


def read(cloud: FakeCloudRun, seconds: float = ENOUGH_S, **more: Any) -> Live:
    return CloudRun(
        service="w",
        project=cloud.project,
        region=cloud.region,
        deadline=Deadline(seconds),
        clients=Clients(cloud.host),
        **{"others": True, **more},
    ).read()


def deploy(cloud: FakeCloudRun, times: int, **more: Any) -> list[str]:
    return [
        cloud.deploy("w", commit=f"{number:040x}", created_at=NOON + timedelta(minutes=number), **more)
        for number in range(times)
    ]


@pytest.mark.parametrize("kind", ["service", "worker-pool"])
def test_they_come_the_newest_first_with_their_evidence(cloud: FakeCloudRun, kind: Any) -> None:
    names = deploy(cloud, 3, kind=kind)
    cloud.deploy("another")
    live = read(cloud, kind=kind)
    assert [one.revision for one in live.revisions] == [names[2]]
    assert [(one.revision, one.percent) for one in live.others] == [(names[1], 0), (names[0], 0)]
    assert live.others[1].evidence[0].value == f"{0:040x}"
    assert live.others[1].created_at == NOON


def test_nobody_asks_for_them_unless_told_to(cloud: FakeCloudRun) -> None:
    deploy(cloud, 2)
    assert read(cloud, others=False).others == ()
    assert "ListRevisions" not in {call.method for call in cloud.calls}


def test_one_page_is_read_and_no_more(cloud: FakeCloudRun) -> None:
    deploy(cloud, RECENT + 5)
    cloud.page_size = 3
    assert len(read(cloud).others) == 3
    assert [call.method for call in cloud.calls].count("ListRevisions") == 1


def test_a_server_that_gives_more_than_was_asked_for_gives_no_more(cloud: FakeCloudRun) -> None:
    deploy(cloud, RECENT + 5)
    assert len(read(cloud).others) <= RECENT


def test_that_they_cannot_be_read_is_told_and_harms_nothing(cloud: FakeCloudRun) -> None:
    [*_, last] = deploy(cloud, 2)
    cloud.fault("ListRevisions", code="PERMISSION_DENIED")
    live = read(cloud)
    assert [one.revision for one in live.revisions] == [last]
    assert live.others == ()
    [finding] = live.findings
    assert finding.code == "evidence-unreachable"
    assert finding.data == {"carrier": "image-label", "cause": "permission-denied", "revision": None}
    assert "lacks `run.revisions.list`" in finding.message


def test_a_list_that_hangs_takes_little_of_the_time(cloud: FakeCloudRun) -> None:
    deploy(cloud, 2)
    cloud.fault("ListRevisions", hang=True)
    live = read(cloud, 3600)
    assert [finding.data["cause"] for finding in live.findings] == ["timeout"]


def test_an_answer_that_makes_no_sense_is_told(cloud: FakeCloudRun) -> None:
    deploy(cloud, 2)
    cloud.fault("ListRevisions", garbage=True)
    assert [finding.data["cause"] for finding in read(cloud).findings] == ["invalid-response"]
