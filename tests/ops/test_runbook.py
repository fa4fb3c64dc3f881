"""The lines of docs/runbook.md, pasted: into a real bash, against a real coordinator, with real git and curl.

Cloud Run is a loopback service, the repository's address a file's; gcloud alone is a stand-in. What Google
would do upon its calls (a deploy, a role, a forced run) the test does, as they say.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from ops.morning import ADA, BYPASS, CODE, COORDINATOR, SCHEDULER, WORKER, Morning
from ops.pages import FIRST, PAGES, TEXT, answers, codes, deploy_of, drift, kind, matches, scheduled, verdicts

from drift_gate.policy import break_glass


@pytest.mark.heavy
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


@pytest.mark.heavy
def test_false_alarm(today: Morning) -> None:
    """Documents in the worker's folder count until they are ignored; then they do not."""
    for number in range(4):
        newest = today.origin.commit({"predictions/worker/notes.md": f"{number}\n"})
    today.git("fetch", "-q", "origin")
    assert drift(today)["decision"] == "deny"
    why, proof = PAGES["False alarm"]
    told = today.paste(FIRST, why, COMMIT=newest)
    assert "predictions/worker/notes.md ← " in told
    assert "+++ b/predictions/worker/notes.md" in told
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

    @pytest.mark.heavy
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


@pytest.mark.heavy
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


@pytest.mark.heavy
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


@pytest.mark.heavy
def test_crash_loop(today: Morning) -> None:
    """The log that is read is that revision's; what is deployed is what was merged since."""
    broken = today.fall_behind()
    revision = today.cloud.roll_out(WORKER, labels={"commit-sha": broken}, image="images/worker:latest")
    today.cloud.fail(WORKER)
    assert "rollout-failed" in codes(today)
    which, log, cure, proof = PAGES["Crash loop"]
    today.paste(FIRST, which, log, REVISION=revision)
    listed, read = today.shell.calls()[-2:]
    assert listed[:3] == ["run", "revisions", "list"]
    assert f'revision_name="{revision}"' in read[2]
    mended = today.origin.commit({CODE: "VERSION = 'mended'\n"})
    assert deploy_of(today, cure) == mended
    (outcome,) = answers(today.paste(FIRST, proof))
    assert outcome["decision"] == "allow"


def test_variable_missing(today: Morning) -> None:
    settings = today.log.parent / "srv" / "drift.toml"
    before = settings.read_text()
    settings.write_text(f'{before}required_env = ["MODEL_PATH"]\n')
    try:
        assert codes(today) == ["required-env-missing"]
        cure, proof = PAGES["Variable missing"]
        today.paste(FIRST, cure, NAME="MODEL_PATH", VALUE="gs://models/7")
        told = today.shell.service_variables(WORKER)
        assert told == {"MODEL_PATH": "gs://models/7"}
        commit = today.origin.tip("main")
        today.cloud.deploy(WORKER, labels={"commit-sha": commit}, image="images/worker:latest", env=told)
        (outcome,) = answers(today.paste(FIRST, proof))
        assert outcome["decision"] == "allow"
    finally:
        settings.write_text(before)


@pytest.mark.heavy
def test_marks_that_disagree(today: Morning) -> None:
    older, newest = today.origin.tip("main"), today.fall_behind()
    today.cloud.deploy(WORKER, labels={"commit-sha": newest}, image=f"images/worker:{older}")
    assert "evidence-conflict" in codes(today)
    cure, proof = PAGES["Marks that disagree"]
    assert deploy_of(today, cure) == newest
    (outcome,) = answers(today.paste(FIRST, proof))
    assert outcome["decision"] == "allow"


@pytest.mark.heavy
def test_other_files(today: Morning) -> None:
    """A commit that was built is built again, from its archive."""
    newest = today.fall_behind()
    today.paste(FIRST, "deploy/3-deploy.sh")
    today.shell.forget()
    cure, proof = PAGES["Other files"]
    assert deploy_of(today, cure) == newest
    built = [call for call in today.shell.calls() if "submit" in call]
    assert [
        f"_DOCKERFILE=predictions/{name}/Dockerfile" in str(built) for name in ("worker", "coordinator")
    ] == [
        True,
        False,
    ]
    (outcome,) = answers(today.paste(FIRST, proof))
    assert outcome["services"][0]["report"]["commits_behind"] == 0


@pytest.mark.heavy
def test_dirty_build(today: Morning) -> None:
    today.live(f"{today.origin.tip('main')}-dirty")
    assert "dirty-build" in codes(today)
    wanted = today.origin.commit({CODE: "VERSION = 'what was not committed'\n"})
    cure, proof = PAGES["Dirty build"]
    assert deploy_of(today, cure) == wanted
    (outcome,) = answers(today.paste(FIRST, proof))
    assert outcome["decision"] == "allow"


def test_every_page_is_pasted_here() -> None:
    """A page that is added needs a test, and one that grows a block as well."""
    sources = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_runbook*.py")]
    assert set(re.findall(r'PAGES\["([^"]+)"\]', "".join(sources))) - {""} == {*PAGES} - {""}
    assert {name: len(blocks) for name, blocks in PAGES.items()} == {
        "": 1,
        "Blocked": 3,
        "Crash loop": 4,
        "Dead worker": 2,
        "Variable missing": 2,
        "Marks that disagree": 2,
        "Other files": 2,
        "Dirty build": 2,
        "Restarting coordinator": 3,
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
