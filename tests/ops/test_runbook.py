"""The lines of docs/runbook.md, pasted: into a real bash, against a real coordinator, with real git and curl.

Cloud Run is a loopback service, the repository's address a file's; gcloud alone is a stand-in. What Google
would do upon its calls (a deploy, a role, a forced run) the test does, as they say.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from coordinator.worlds import a_verdict
from ops.morning import ADA, BYPASS, CODE, COORDINATOR, SCHEDULER, Morning, morning, token
from ops.stand_ins import DEPLOY, ROOT

from predictions.coordinator.contracts import Handed
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.exceptions import DispatchError
from predictions.coordinator.game_dates import game_date
from predictions.coordinator.orders import Order
from predictions.coordinator.store.sqlite import open_sqlite
from shared.deployment import break_glass

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def _sections() -> dict[str, list[str]]:
    """The blocks of each page, under its heading; what is before the first is under nothing."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    named = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    block = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return {name: block.findall(text) for name, text in named.items()}


PAGES = _sections()
(FIRST,) = PAGES[""]


@pytest.fixture(scope="module")
def _morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    with morning(tmp_path_factory.mktemp("morning")) as made:
        yield made


@pytest.fixture
def today(_morning: Morning) -> Morning:
    """A morning on which all is well."""
    _morning.current()
    return _morning


def answers(printed: str) -> list[Any]:
    """The JSON documents that were printed."""
    found, decoder, rest = [], json.JSONDecoder(), printed.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def drift(at: Morning) -> Any:
    """What the gate says, as each page asks."""
    (outcome,) = answers(at.paste(FIRST, 'ask "$URL/drift"'))
    return outcome["services"][0]


def kind(problem: Any) -> str:
    return str(problem["type"]).rpartition(":")[2]


def test_blocked(today: Morning) -> None:
    newest = today.fall_behind()
    look, cure, proof = PAGES["Blocked"]
    (seen,) = answers(today.paste(FIRST, look))
    assert seen["services"][0]["report"]["commits_behind"] == 4
    assert kind(today.call(SCHEDULER, {"game_date": "TODAY"}).json()) == "deployment-drift"

    deploy, start = cure.splitlines()
    today.paste(FIRST, deploy)
    deployed = yaml.safe_load((today.shell.kept / "worker.yaml").read_text())
    today.live(deployed["spec"]["template"]["metadata"]["labels"]["commit-sha"])
    (started,) = answers(today.paste(FIRST, start))
    assert (started["how"], started["batch"]["state"]) == ("created", "completed")
    assert deployed["spec"]["template"]["metadata"]["labels"]["commit-sha"] == newest
    (listed,) = answers(today.paste(FIRST, proof))
    assert listed["batches"][0]["id"] == started["batch"]["id"]


def test_false_alarm(today: Morning) -> None:
    """Documents in the worker's folder count until they are ignored; then they do not."""
    for number in range(4):
        newest = today.origin.commit({"predictions/worker/notes.md": f"{number}\n"})
    today.git("fetch", "-q", "origin")
    assert drift(today)["decision"] == "deny"
    why, proof = PAGES["False alarm"]
    assert "predictions/worker/notes.md" in today.paste(FIRST, why, COMMIT=newest)
    toml = (today.clone / "drift.toml").read_text()
    (today.clone / "drift.toml").write_text(f'{toml}ignore = ["*.md"]\n')
    listed = today.paste(FIRST, proof)
    (today.clone / "drift.toml").write_text(toml)
    assert "worker.py" in listed
    assert "notes.md" not in listed


class TestBypass:
    def test_one_start(self, today: Morning) -> None:
        """By name, with the reason in the log; the same person's plain start is refused."""
        today.fall_behind()
        assert today.call(ADA, {"game_date": "TODAY"}).status_code == 409
        (started,) = answers(today.paste(FIRST, PAGES["Bypass"][0]))
        assert started["how"] == "created"
        bypass = started["verdict"]["break_glass"]
        assert (bypass["actor"], bypass["reason"]) == (ADA, "tip-off in ten minutes")

    def test_by_telephone(self, today: Morning) -> None:
        """What the schedule sends starts a batch that is refused; it ends as it began, paused."""
        today.fall_behind()
        today.paste("deploy/4-schedules.sh")
        jobs = scheduled(today)
        today.paste(FIRST, PAGES["Bypass"][1])
        assert [call[2] for call in today.shell.calls()[-3:]] == ["resume", "run", "pause"]
        assert today.shell.there("scheduler jobs start-with-bypass").read_text() == "PAUSED"
        assert today.call(*jobs["start"]).status_code == 409
        started = today.call(*jobs["start-with-bypass"])
        assert started.status_code == 202
        assert started.json()["verdict"]["break_glass"]["actor"] == BYPASS
        assert kind(today.call(SCHEDULER, jobs["start-with-bypass"][1]).json()) == "bypass-forbidden"

    def test_every_start_for_a_while(self, today: Morning) -> None:
        """What the first line sets is a bypass to the gate, for 90 minutes; the second one ends it."""
        now = datetime.now(UTC)
        _, _, begin, end = PAGES["Bypass"]
        today.paste(FIRST, begin)
        told = today.shell.service_variables(COORDINATOR)
        asked = break_glass.asked_for(False, None, ADA, told, now)
        assert asked.bypass is not None
        assert asked.bypass.until is not None
        assert timedelta(minutes=89) < asked.bypass.until - now < timedelta(minutes=92)
        later = break_glass.asked_for(False, None, ADA, told, now + timedelta(minutes=93))
        assert later.bypass is None

        today.paste(FIRST, end)
        told = today.shell.service_variables(COORDINATOR)
        assert break_glass.asked_for(False, None, ADA, told, now) == break_glass.Asked(None)
        assert [call[:3] for call in today.shell.calls()] == 2 * [["run", "services", "update"]]


def test_rollback_on_purpose(today: Morning) -> None:
    """A merge is enough: the coordinator is not deployed, and reads it at the target."""
    older = today.origin.tip("main")
    newest = today.fall_behind()
    today.live(newest)
    assert drift(today)["decision"] == "allow"

    back, note, proof = PAGES["Rollback on purpose"]
    today.paste(FIRST, back, REVISION="prediction-worker-00041-abc")
    assert "--to-revisions=prediction-worker-00041-abc=100" in today.shell.calls()[-1]
    today.live(older)
    assert (drift(today)["decision"], drift(today)["enforced"]) == ("deny", True)

    until = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    today.paste(FIRST, note, UNTIL=until)
    today.origin.git("update-ref", "refs/heads/main", "refs/heads/acknowledge-rollback")  # the merge
    (outcome,) = answers(today.paste(FIRST, proof))
    verdict = outcome["services"][0]
    assert (verdict["decision"], verdict["enforced"]) == ("deny", False)
    assert verdict["not_enforced_because"] == "acknowledged"
    assert today.call(SCHEDULER, {"game_date": "TODAY"}).status_code == 202


def test_api_forbidden(today: Morning) -> None:
    today.cloud.fault("GetService", code="PERMISSION_DENIED")
    assert drift(today)["report"]["unknown"]["cause"] == "permission-denied"
    assert kind(today.call(SCHEDULER, {"game_date": "TODAY"}).json()) == "drift-unknown"

    cure, proof = PAGES["API forbidden"]
    today.paste(FIRST, cure)
    call = today.shell.calls()[-1]
    assert call[:3] == ["projects", "add-iam-policy-binding", "example-project"]
    assert f"--member=serviceAccount:{COORDINATOR}@example-project.iam.gserviceaccount.com" in call
    today.paste("deploy/1-accounts.sh")
    beside = {"--quiet", "--format=none", "--project=example-project"}
    assert {*call} in [{*each} - beside for each in today.shell.calls()[1:]]
    today.cloud.heal()
    (outcome,) = answers(today.paste(FIRST, proof))
    assert outcome["decision"] == "allow"


def test_repository_unreachable(today: Morning) -> None:
    """Whether it is the host shows in the first lines; a new token goes in without its line end."""
    reach, renew, proof = PAGES["Repository unreachable"]
    gone = today.origin.path.rename(today.origin.path.with_name("gone"))
    assert today.paste(FIRST, reach, check=False) != "0"
    cause = drift(today)["report"]["unknown"]["cause"]
    gone.rename(today.origin.path)
    assert f"`{cause}`" in TEXT.partition("## Repository unreachable")[2].partition("**It means**")[0]

    assert "HEAD" in today.paste(FIRST, reach)
    today.paste(FIRST, renew, stdin="ghs_new\n")
    assert (today.shell.kept / "secret").read_bytes() == b"ghs_new"
    assert "ghs_new" not in str(today.shell.calls())
    call = today.shell.calls()[-1]
    assert "--update-secrets=GITHUB_TOKEN=github-token:latest" in call
    (outcome,) = answers(today.paste(FIRST, proof))
    assert outcome["decision"] == "allow"


def test_no_verdict(today: Morning) -> None:
    """The look before the batch leaves a verdict, and no batch."""
    today.paste("deploy/4-schedules.sh")
    look, call = PAGES["No verdict"]
    assert '{"status":"ok"}\nENABLED' in re.sub(r"\n+", "\n", today.paste(FIRST, look))
    today.paste(FIRST, call)
    run, read = today.shell.calls()[-2:]
    assert run[:4] == ["scheduler", "jobs", "run", "preflight"]
    before = len(verdicts(today))
    answer = today.call(*scheduled(today)["preflight"])
    assert (answer.status_code, answer.json()["how"], answer.json()["batch"]) == (200, "dry-run", None)
    assert answer.json()["requested"] == 3
    assert len(verdicts(today)) == before + 1
    assert matches(read[2], verdicts(today)[-1])


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


def at_work(at: Morning) -> bool:
    """Whether a batch has begun and has not ended."""
    with open_sqlite(at.log.parent / "srv" / ".drift" / "predictions.sqlite") as store:
        return bool(store.active())


class Broken:
    """A way to the workers that is closed."""

    name = "local"

    def dispatch(self, batch: Any, requests: Any) -> Iterator[Handed]:
        raise DispatchError("the worker is gone")
        yield


def left_by(dispatcher: Any, at: Morning, when: datetime) -> str:
    """The id of today's batch that another coordinator, with ``dispatcher``, left behind."""
    srv = at.log.parent / "srv"
    order = Order(game_date=game_date("TODAY", datetime.now(UTC)), slate=srv / "slate.csv")
    with open_sqlite(srv / ".drift" / "predictions.sqlite") as store:
        coordinator = Coordinator(store, dispatcher, gate=lambda **_: a_verdict(), clock=lambda: when)
        with suppress(DispatchError):
            coordinator.start(order)
        return store.batches()[0].id


def told_by(name: str) -> re.Pattern[str]:
    """The messages that the alert ``name`` looks for."""
    read = yaml.safe_load((DEPLOY / "alerts" / f"{name}.yaml").read_text())
    (found,) = re.findall(r'jsonPayload.message=~"([^"]+)"', str(read["conditions"]))
    return re.compile(found)


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


class Nobody:
    """Takes requests and never answers."""

    name = "local"

    def dispatch(self, batch: Any, requests: Any) -> Iterator[Handed]:
        yield Handed(tuple(request.player_id for request in requests))


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


def scheduled(at: Morning) -> dict[str, tuple[str, str]]:
    """Of each schedule that was made: as whom it calls, and the body that it sends."""
    found = {}
    for call in at.shell.calls():
        if call[:2] == ["scheduler", "jobs"] and call[2] in {"create", "update"}:
            flags = dict(word.partition("=")[::2] for word in call if word.startswith("--"))
            found[call[4]] = (flags["--oidc-service-account-email"], flags.get("--message-body", ""))
    return found


def verdicts(at: Morning) -> list[dict[str, Any]]:
    return [entry for entry in at.entries() if entry.get("event") == "drift_verdict"]


def matches(query: str, entry: dict[str, Any]) -> bool:
    """Whether a log entry's fields are those that ``query`` asks for: ANDs of one value or several."""
    fields = re.findall(r'jsonPayload\.(\w+)=("[^"]*"|true|false)', query)
    assert fields
    wanted: dict[str, list[Any]] = {}
    for name, value in fields:
        wanted.setdefault(name, []).append(json.loads(value))
    return all(entry.get(name) in values for name, values in wanted.items())


class TestAlerts:
    def filter(self, name: str) -> str:
        read = yaml.safe_load((DEPLOY / "alerts" / f"{name}.yaml").read_text())
        (condition,) = read["conditions"]
        assert read["displayName"] == f"drift gate: {name}"
        return str(condition["conditionMatchedLog"]["filter"])

    def test_a_denial_is_told_and_a_bypass_too(self, today: Morning) -> None:
        """Each by its own alert, from the coordinator's own log; an allowed start by none."""
        today.call(SCHEDULER, {"game_date": "TODAY", "dry_run": True})
        allowed = verdicts(today)[-1]
        today.fall_behind()
        today.call(SCHEDULER, {"game_date": "TODAY", "dry_run": True})
        denied = verdicts(today)[-1]
        before = len(verdicts(today))
        today.call(ADA, {"game_date": "TODAY", "dry_run": True, "skip_drift_check": True})
        while len(verdicts(today)) == before:  # what a bypass has overridden is told beside its answer
            time.sleep(0.02)
        bypassed = verdicts(today)[-1]
        entries = (allowed, denied, bypassed)
        assert [matches(self.filter("denied"), entry) for entry in entries] == [False, True, False]
        assert [matches(self.filter("bypassed"), entry) for entry in entries] == [False, False, True]

    def test_silence_is_26_hours_within_what_is_looked_back_on(self) -> None:
        read = yaml.safe_load((DEPLOY / "alerts" / "silent.yaml").read_text())
        condition = read["conditions"][0]["conditionPrometheusQueryLanguage"]
        (hours,) = re.findall(r"^absent_over_time\(.*\[(\d+)h\]\)$", condition["query"])
        held = int(condition["duration"].rstrip("s"))
        assert int(hours) * 3600 + held == 26 * 3600
        assert int(hours) <= 25
        metric = re.search(r"user_(\w+)\{", condition["query"])
        assert metric
        assert f"METRIC={metric[1]}\n" in (DEPLOY / "5-alerts.sh").read_text()

    def test_what_is_counted_is_each_verdict(self, today: Morning) -> None:
        today.paste("deploy/5-alerts.sh")
        (call,) = [call for call in today.shell.calls() if call[:3] == ["logging", "metrics", "create"]]
        (query,) = [word for word in call if word.startswith("--log-filter=")]
        today.call(SCHEDULER, {"game_date": "TODAY", "dry_run": True})
        assert all(matches(query, entry) for entry in verdicts(today))
        assert f'service_name="{COORDINATOR}"' in query


def test_every_page_is_pasted_here() -> None:
    """A page that is added needs a test, and one that grows a block as well."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert set(re.findall(r'PAGES\["([^"]+)"\]', source)) - {""} == {*PAGES} - {""}
    assert {name: len(blocks) for name, blocks in PAGES.items()} == {
        "": 1,
        "Blocked": 3,
        "False alarm": 2,
        "Bypass": 4,
        "Rollback on purpose": 3,
        "API forbidden": 2,
        "Repository unreachable": 3,
        "No verdict": 2,
        "Mixed revision": 2,
        "Failed batch": 2,
        "Stalled batch": 3,
    }
