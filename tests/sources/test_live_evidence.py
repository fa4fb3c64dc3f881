"""Further evidence is kept with what is live, and no source of it does worse than to be silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from support.limits import ENOUGH_S, in_time

from drift_gate.errors import SourceError
from drift_gate.facts import Content, Evidence, EvidenceSource, Finding, Live, LiveRevision, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.memory import Borrowed, Kept
from drift_gate.sources.live import CachedLive, LiveWithEvidence

LABEL = Evidence(carrier="revision-label", key="commit-sha", value="a" * 40)
IMAGE = Evidence(carrier="image-label", key="revision", value="a" * 40)
HEALTH = Evidence(carrier="health", key="commit", value="a" * 40)
CONTENT = Content(files={}, covers=("",), digest="sha256:0")
NOTE = Finding(code="traffic-split", message="two")
LIVE = Live(
    kind="service",
    project="p",
    region="r",
    revisions=(LiveRevision(revision="w-1", percent=100, evidence=(LABEL,)),),
    findings=(NOTE,),
)


@dataclass(frozen=True)
class Serving:
    """What is live, without a platform."""

    def unchanged(self, live: Live) -> bool:
        return True

    def read(self) -> Live:
        return LIVE


@dataclass(frozen=True)
class Saying:
    """An evidence source that answers by a function."""

    say: Callable[[Live], Live]

    def with_evidence(self, live: Live) -> Live:
        return self.say(live)


def adding(live: Live, **fields: object) -> Live:
    (one,) = live.revisions
    return replace(live, revisions=(replace(one, **fields),))  # type: ignore[arg-type]  # fields of it


def answered(seconds: float = ENOUGH_S, **others: Callable[[Live], Live]) -> Live:
    carriers = {"image": "image-label", "files": "fingerprint"}
    made: dict[str, Callable[[Deadline], EvidenceSource]] = {
        carriers[name]: lambda _, say=say: Saying(say)  # type: ignore[misc]  # bound at once
        for name, say in others.items()
    }
    return LiveWithEvidence(source=Serving(), others=made, deadline=Deadline(seconds)).read()  # type: ignore[arg-type]  # carriers


def test_all_that_is_added_is_kept_in_the_order_of_its_strength() -> None:
    """Each adds to what the platform says, and none takes anything of another away."""
    live = answered(
        image=lambda live: adding(live, evidence=(IMAGE, LABEL)),
        files=lambda live: adding(live, evidence=(LABEL, HEALTH), content=CONTENT),
    )
    (one,) = live.revisions
    assert one.evidence == (IMAGE, LABEL, HEALTH)
    assert one.content == CONTENT
    assert live.findings == (NOTE,)


def test_what_each_found_stands_beside_what_was_found_before() -> None:
    found = Finding(code="evidence-conflict", message="two digests")
    live = answered(
        image=lambda live: replace(live, findings=(*live.findings, found)), files=lambda live: live
    )
    assert live.findings == (NOTE, found)


def test_one_that_hangs_leaves_the_rest_its_share_of_the_time() -> None:
    forever = threading.Event()

    def hangs(live: Live) -> Live:
        forever.wait()
        return live

    live = in_time(
        lambda seconds: answered(
            seconds,
            image=lambda live: adding(live, evidence=(IMAGE, LABEL)),
            files=hangs,
        ),
        late=lambda live: len(live.findings) > 2,  # one for each that timed out
    )
    forever.set()
    assert live.revisions[0].evidence == (IMAGE, LABEL)
    assert [(each.code, each.data["cause"]) for each in live.findings[1:]] == [
        ("evidence-unreachable", "timeout")
    ]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (SourceError("refused", "permission-denied"), "permission-denied"),
        (ValueError("what nobody foresaw"), "invalid-response"),
        (RecursionError("deep"), "invalid-response"),
    ],
)
def test_one_that_fails_in_whatever_way_is_no_worse_than_not_asked(error: Exception, cause: str) -> None:
    """A stranger's answer that the gate has no idea of must not end the check."""

    def fails(_: Live) -> Live:
        raise error

    live = answered(files=fails, image=lambda live: live)
    assert live.revisions == LIVE.revisions
    (_, found) = live.findings
    assert (found.code, found.data) == ("evidence-unreachable", {"carrier": "fingerprint", "cause": cause})
    assert str(error) in found.message


@pytest.mark.parametrize(
    ("live", "times"),
    [
        (replace(LIVE, findings=()), 1),
        (LIVE, 2),
        (
            replace(
                LIVE,
                findings=(),
                revisions=(
                    LiveRevision(
                        revision="w-1", percent=100, unknown=Unknown(cause="timeout", message="late")
                    ),
                ),
            ),
            2,
        ),
    ],
    ids=["calm", "with a finding", "with a revision that could not be read"],
)
def test_only_what_was_read_in_whole_and_is_calm_is_kept(live: Live, times: int) -> None:
    asked: list[int] = []

    @dataclass(frozen=True)
    class Counting:
        def unchanged(self, live: Live) -> bool:
            return True

        def read(self) -> Live:
            asked.append(1)
            return live

    kept: Kept[object, Live] = Kept(3600)
    for _ in range(2):
        assert CachedLive(source=Counting(), key="w", kept=Borrowed(kept)).read() == live
    assert len(asked) == times
