"""The pages of docs/runbook.md on batches, pasted as those on the gate are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from ops.morning import CODE, COORDINATOR, SCHEDULER, Morning, token
from ops.pages import FIRST, PAGES, TEXT, Broken, Nobody, answers, left_by, told_by
from ops.stand_ins import ROOT

from predictions.coordinator.store.sqlite import open_sqlite


@pytest.mark.heavy
def test_mixed_revision(today: Morning) -> None:
    newest = today.fall_behind()
    today.live(newest)
    other = today.origin.commit({CODE: "VERSION = 'other'\n"})

    def look() -> None:
        """The gate may ask as often as it likes; the look at the end of the batch finds another revision."""
        if at_work(today):
            today.live(other)
        else:
            today.cloud.before("GetService", look)

    today.cloud.before("GetService", look)
    batch = today.call(SCHEDULER, {"game_date": "TODAY"}).json()["batch"]
    page, again = PAGES["Mixed revision"]
    (seen,) = answers(today.paste(FIRST, page, BATCH=batch["id"]))
    assert seen["marks"] == ["mixed-revision"]
    assert "shares" in seen["ending"]
    (started,) = answers(today.paste(FIRST, again))
    assert started["batch"]["id"] != batch["id"]
    assert started["batch"]["marks"] == []


def test_dead_worker(today: Morning) -> None:
    """Whether it answers shows in one line; then the date is started anew."""
    left_by(Broken(), today, datetime.now(UTC))
    look, again = PAGES["Dead worker"]
    assert today.paste(FIRST, f"WORKER_URL={today.url}", look).strip() == "200"
    (started,) = answers(today.paste(FIRST, again))
    assert (started["how"], started["batch"]["state"]) == ("created", "completed")
    assert "it answered 503; trying until" in TEXT
    assert "trying until %s" in (ROOT / "predictions/coordinator/dispatch/http.py").read_text()


def test_failed_batch(today: Morning, caplog: pytest.LogCaptureFixture) -> None:
    """What it failed of stands there, and brought a mail; the next start makes another batch."""
    batch = left_by(Broken(), today, datetime.now(UTC))
    assert [bool(told_by("failed").search(each)) for each in caplog.messages] == [True]
    look, again = PAGES["Failed batch"]
    (seen, *_) = answers(today.paste(FIRST, look, BATCH=batch))
    assert (seen["state"], seen["error"]) == ("failed", "the worker is gone")
    assert "severity>=ERROR" in today.shell.calls()[-1][2]
    (started,) = answers(today.paste(FIRST, again))
    assert (started["how"], started["batch"]["state"]) == ("created", "completed")


def at_work(at: Morning) -> bool:
    """Whether a batch has begun and has not ended."""
    with open_sqlite(at.log.parent / "srv" / ".drift" / "predictions.sqlite") as store:
        return bool(store.active())


class TestStalled:
    @pytest.fixture
    def batch(self, today: Morning) -> str:
        """The id of one whose workers fell silent an hour ago."""
        return left_by(Nobody(), today, datetime.now(UTC) - timedelta(hours=1))

    def test_is_found_by_the_look_of_its_schedule(self, today: Morning, batch: str) -> None:
        """A line that brings a mail, without anybody who starts or looks before a start."""
        today.paste("deploy/4-schedules.sh")
        (call,) = [each for each in today.shell.calls() if each[4:5] == ["stalled"]]
        assert "--schedule=*/15 * * * *" in call
        (url,) = [word.partition("=")[2] for word in call if word.startswith("--uri=")]
        headers = {"Authorization": f"Bearer {token(SCHEDULER)}"}
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
        lines = [each["message"] for each in today.entries() if each["severity"] == "ERROR"]
        assert [each for each in lines if told_by("stalled").search(each) and batch in each]

    def test_goes_on(self, today: Morning, batch: str) -> None:
        look, resume, _ = PAGES["Stalled batch"]
        today.paste(FIRST, look)
        assert today.shell.calls()[-1][:4] == ["pubsub", "subscriptions", "pull", "prediction-dead-letters"]
        assert not any(word.startswith("--auto-ack") for word in today.shell.calls()[-1])
        (resumed,) = answers(today.paste(FIRST, resume))
        assert (resumed["how"], resumed["batch"]["id"]) == ("resumed", batch)
        assert resumed["batch"]["state"] == "completed"

    def test_is_given_up(self, today: Morning, batch: str) -> None:
        *_, cancel = PAGES["Stalled batch"]
        (cancelled,) = answers(today.paste(FIRST, cancel, BATCH=batch))
        assert cancelled["state"] == "cancelled"


def test_restarting_coordinator(today: Morning) -> None:
    """Its log, more memory, and the batch that it left goes on."""
    batch = left_by(Nobody(), today, datetime.now(UTC))
    look, more, again = PAGES["Restarting coordinator"]
    today.paste(FIRST, look, more)
    read, update = today.shell.calls()[-2:]
    assert f'service_name="{COORDINATOR}"' in read[2]
    assert (update[:4], "--memory=2Gi" in update) == (["run", "services", "update", COORDINATOR], True)
    (resumed,) = answers(today.paste(FIRST, again))
    assert (resumed["how"], resumed["batch"]["id"]) == ("resumed", batch)
