"""Evidence from the files that run, through whole checks: a real history, a loopback Cloud Run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.world import WORKER, World, codes, plan_of

from drift_gate import gate, questions
from drift_gate.facts import Content, Live, LiveRevision, LiveSource
from drift_gate.fingerprint import SECRETS
from drift_gate.gate import Plan
from drift_gate.policy.verdict import Reason, Verdict
from drift_gate.relevance import loaded_list
from drift_gate.runtime.deadline import Deadline
from drift_gate.wiring import checks, plans

FILE = "predictions/worker/worker.py"
COVERS = ("predictions/worker/", "shared/")


@dataclass(frozen=True)
class Telling:
    """What ``source`` says, with an answer of each revision about its own files."""

    source: LiveSource
    content: Content

    def unchanged(self, live: Live) -> bool:
        return True

    def read(self) -> Live:
        live = self.source.read()
        return replace(live, revisions=tuple(replace(each, content=self.content) for each in live.revisions))


def files_of(world: World, commit: str) -> dict[str, str]:
    """What an image of ``commit`` holds: the ids that git itself tells."""
    lines = world.history.git("ls-tree", "-r", commit).splitlines()
    entries = [line.partition("\t") for line in lines]
    return {path: meta.split()[2] for meta, _, path in entries if path.startswith(COVERS)}


def plan(world: World, files: Mapping[str, str], *covers: str, dirty: bool = False, **told: Any) -> Plan:
    content = Content(files=files, covers=covers or COVERS, digest="sha256:1", dirty=dirty, **told)
    ours = plan_of(WORKER, world.settings())
    return replace(ours, live=Telling(ours.live, content))


def judged(world: World, files: Mapping[str, str], *covers: str, dirty: bool = False, **told: Any) -> Verdict:
    ours = plan(world, files, *covers, dirty=dirty, **told)
    return gate.check([ours], deadline=Deadline(60), now=checks.utc_now())[0]


def reason(verdict: Verdict, code: str) -> Reason:
    (found,) = [each for each in verdict.reasons if each.code == code]
    return found


def carriers(verdict: Verdict) -> list[str]:
    return [each.carrier for each in verdict.report.live[0].evidence]


def test_files_that_agree_with_the_label_are_the_strongest_evidence(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, files_of(world, world.first))
    assert (verdict.decision, codes(verdict)) == ("allow", [])
    assert carriers(verdict)[0] == "fingerprint"
    assert verdict.report.live[0].evidence[0].value == world.first


def test_25_old_layers_under_a_fresh_label(world: World) -> None:
    """Right label, right tag, old files: the revision runs the commit that its files are of."""
    shas = [world.first, *(world.change() for _ in range(5))]
    world.cloud.deploy(WORKER, commit=shas[-1])
    assert world.verdict().decision == "allow"  # without the files the label is believed
    verdict = judged(world, files_of(world, shas[0]))
    assert verdict.decision == "deny"
    assert {"content-mismatch", "too-many-commits-behind"} <= set(codes(verdict))
    assert (verdict.report.live[0].commit, verdict.report.commits_behind) == (shas[0], 5)
    found = reason(verdict, "content-mismatch")
    assert found.data["claimed"] == shas[-1]
    assert found.data["equals"] == shas[0]
    assert found.data["changed"] == [FILE]
    assert f"which revision-label commit-sha={shas[-1]} says: 1 differing ({FILE})" in found.message
    assert f"they are those of {shas[0][:12]}" in found.message


def test_37_an_image_from_a_changed_work_tree(world: World) -> None:
    """Files that no commit has: nobody knows what runs, and the label does not count."""
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, files_of(world, world.first) | {FILE: "d" * 40})
    assert (verdict.decision, codes(verdict)) == ("deny", ["unknown-drift", "content-mismatch"])
    assert verdict.report.status == "unknown"
    assert verdict.report.live[0].commit is None
    assert verdict.report.unknown is not None
    assert verdict.report.unknown.cause == "commit-not-in-history"


def test_37_the_worker_itself_says_that_it_is_dirty(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, files_of(world, world.first), dirty=True)
    assert (verdict.decision, codes(verdict)) == ("deny", ["dirty-build"])


def test_32_another_application_under_the_service_s_name(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, {"main.py": "e" * 40}, "")
    assert verdict.decision == "deny"
    found = reason(verdict, "content-mismatch")
    assert found.data["extra"] == ["main.py"]
    assert FILE in found.data["missing"]


def test_an_uncommitted_module_beside_the_right_files_is_told(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, files_of(world, world.first) | {"shared/patched.py": "f" * 40})
    assert verdict.decision == "deny"
    assert reason(verdict, "content-mismatch").data["extra"] == ["shared/patched.py"]


def test_where_no_label_names_a_commit_the_files_do(world: World) -> None:
    middle = world.change()
    world.change()
    world.cloud.deploy(WORKER, image="worker:latest")
    assert world.verdict().report.status == "unknown"
    verdict = judged(world, files_of(world, middle))
    assert (verdict.report.live[0].commit, verdict.report.commits_behind) == (middle, 1)
    assert codes(verdict) == ["behind-within-limit"]


def test_a_label_of_a_commit_that_was_pushed_away_is_overruled_and_told(world: World) -> None:
    world.cloud.deploy(WORKER, commit="0" * 39 + "1")
    assert world.verdict().report.status == "unknown"
    verdict = judged(world, files_of(world, world.first))
    assert (verdict.decision, codes(verdict)[0]) == ("warn", "weak-evidence-disagrees")
    assert verdict.report.live[0].commit == world.first


def test_of_several_commits_with_these_files_the_claimed_one_counts(world: World) -> None:
    """Documents changed, nothing else: the label may be right about which of them it was."""
    document = world.history.commit({"docs/readme.md": "more\n"}, subject="a document")
    world.change()
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, files_of(world, document))
    assert verdict.report.live[0].commit == world.first


def test_a_fingerprint_of_part_of_the_files_confirms_no_more_than_it_saw(world: World) -> None:
    """It may contradict a label; that it names the commit takes all of the relevant files, or it is said."""
    newer = world.change()
    world.cloud.deploy(WORKER, commit=newer)
    part = {FILE: files_of(world, newer)[FILE]}
    agreed = judged(world, part, FILE)
    assert (agreed.decision, codes(agreed)) == ("warn", ["evidence-unreachable"])
    assert "fingerprint" not in carriers(agreed)
    told = reason(agreed, "evidence-unreachable")
    assert "covers 1 of 2 relevant files" in told.message
    assert (told.data["covered"], told.data["relevant"], told.data["unseen"]) == (1, 2, ["shared/odds.py"])
    older = judged(world, {FILE: files_of(world, world.first)[FILE]}, FILE)
    assert (older.decision, older.report.status) == ("deny", "unknown")
    assert reason(older, "content-mismatch").data["equals"] is None


def test_a_fingerprint_beside_the_point_is_no_evidence(world: World) -> None:
    """A wrong root covers none of the worker's files: that must not look like agreement."""
    world.cloud.deploy(WORKER, commit=world.first)
    verdict = judged(world, {}, "app/")
    assert (verdict.decision, codes(verdict)) == ("warn", ["evidence-unreachable"])


def test_what_has_the_name_of_a_secret_is_not_asked_for(world: World) -> None:
    """No worker ever hashes it: the files are no proof, and nobody is told each day what cannot be cured."""
    newer = world.history.commit({"shared/.env.example": "KEY=\n"})
    world.cloud.deploy(WORKER, commit=newer)
    ours = plan(world, {path: blob for path, blob in files_of(world, newer).items() if ".env" not in path})
    assert isinstance(ours.live, Telling)
    content = replace(ours.live.content, ignored=SECRETS)
    ours = replace(ours, live=replace(ours.live, content=content))
    (verdict,) = gate.check([ours], deadline=Deadline(60), now=checks.utc_now())
    assert (codes(verdict), "fingerprint" in carriers(verdict)) == ([], False)


class TestWhatTheProcessHasLoaded:
    """A closure is a claim, and the program that runs knows better."""

    @pytest.fixture
    def newer(self, world: World) -> str:
        """The image has a file that nothing imports by what can be read; one commit changes it."""
        world.toml = IMAGE_TOML
        world.history.commit(
            {"Dockerfile": STARTED, FILE: "load()\n", "shared/odds.py": "O = 1\n"}, subject="a start"
        )
        world.cloud.deploy(WORKER, commit=world.history.tip("main"))
        return world.history.commit({"shared/odds.py": "O = 2\n"})

    def judged(self, world: World, newer: str, *loaded: str) -> Verdict:
        return judged(world, files_of(world, f"{newer}^"), loaded=frozenset(loaded))

    def test_a_file_that_the_closure_calls_unused_counts_and_is_told(self, world: World, newer: str) -> None:
        assert self.judged(world, newer, FILE).report.commits_behind == 0
        verdict = self.judged(world, newer, FILE, "shared/odds.py")
        assert (verdict.report.commits_behind, verdict.report.status) == (1, "behind")
        told = reason(verdict, "closure-incomplete")
        assert (told.decision, told.data) == ("warn", {"loaded": ["shared/odds.py"], "count": 1})
        assert "the running worker has loaded shared/odds.py, which did not count" in told.message

    def test_why_says_it(self, world: World, newer: str) -> None:
        ours = plan(world, files_of(world, f"{newer}^"), loaded=frozenset({"shared/odds.py"}))
        answers = ours.repository.ask(questions.why, questions.sides(ours), "shared/odds.py")
        assert answers is not None
        assert [each.because for each in answers] == [("the running worker has loaded it",)]

    def test_what_is_ignored_and_what_git_does_not_hold_is_not(self, world: World, newer: str) -> None:
        world.toml = IMAGE_TOML + 'ignore = ["odds.py"]\n'
        verdict = self.judged(world, newer, FILE, "shared/odds.py", "shared/made_by_the_build.py")
        assert (verdict.report.commits_behind, codes(verdict)) == (0, ["content-identical"])

    def test_by_paths_alone_it_counts_too(self, world: World) -> None:
        world.toml = world.toml.replace(
            'paths = ["/predictions/worker/", "/shared/"]', 'paths = ["/predictions/"]'
        )
        world.cloud.deploy(WORKER, commit=world.first)
        world.change("shared/odds.py")
        verdict = judged(world, files_of(world, world.first), loaded=frozenset({"shared/odds.py"}))
        assert (verdict.report.commits_behind, "closure-incomplete" in codes(verdict)) == (1, True)


def test_each_end_keeps_its_own_list_of_what_a_run_has_loaded(world: World) -> None:
    """It is read out of the commit, as what is acknowledged is; by a check, too."""
    world.toml = IMAGE_TOML
    image = {"Dockerfile": STARTED, FILE: "load()\n", "shared/odds.py": "O = 1\n"}
    world.cloud.deploy(WORKER, commit=world.history.commit(image))
    world.history.commit({"shared/odds.py": "O = 2\n"})
    assert world.verdict().report.commits_behind == 0
    kept = {"drift.loaded.json": loaded_list.text({WORKER: ["shared/odds.py"]})}
    world.history.commit(kept)
    assert world.verdict().report.commits_behind == 1
    world.history.commit({"drift.loaded.json": "no list"})
    verdict = world.verdict()
    assert (verdict.report.commits_behind, "closure-incomplete" in codes(verdict)) == (0, True)


class TestWhatChangedSinceTheStart:
    def test_files_that_are_the_commits_only_now_do_not_prove_what_runs(self, world: World) -> None:
        """A tool put the new files under a process that runs the old ones."""
        newer = world.change()
        world.cloud.deploy(WORKER, commit=newer)
        verdict = judged(world, files_of(world, newer), changed=frozenset({FILE}))
        assert (verdict.decision, codes(verdict)) == ("deny", ["content-mismatch"])
        told = reason(verdict, "content-mismatch")
        assert told.data["changed_since_start"] == [FILE]
        assert f"changed in the instance since the worker started: {FILE}" in told.message

    def test_nor_do_they_where_no_label_names_a_commit(self, world: World) -> None:
        world.cloud.deploy(WORKER, image="worker:latest")
        verdict = judged(world, files_of(world, world.first), changed=frozenset({FILE}))
        assert "content-mismatch" in codes(verdict)

    def test_a_file_that_was_changed_by_hand(self, world: World) -> None:
        world.cloud.deploy(WORKER, commit=world.first)
        files = files_of(world, world.first) | {FILE: "d" * 40}
        told = reason(judged(world, files, changed=frozenset({FILE})), "content-mismatch")
        assert told.data["changed_since_start"] == [FILE]
        assert told.message.endswith(f"changed in the instance since the worker started: {FILE}")

    def test_what_a_program_writes_beside_its_code_is_its_own(self, world: World) -> None:
        world.cloud.deploy(WORKER, commit=world.first)
        files = files_of(world, world.first) | {"shared/cache.json": "d" * 40}
        assert codes(judged(world, files, changed=frozenset({"shared/cache.json"}))) == []


def test_is_live_goes_by_the_files_too(world: World) -> None:
    """The label says that the fix is live; the files say that it is not."""
    fix = world.change()
    world.cloud.deploy(WORKER, commit=fix)
    ours = plan(world, files_of(world, world.first))
    (answer,) = ours.repository.ask(questions.is_live, questions.sides(ours), fix)
    assert (answer.live, answer.count) == (False, 1)


@pytest.mark.parametrize("cause", ["shallow"])
def test_a_history_that_cannot_be_searched_leaves_it_unknown(world: World, cause: str) -> None:
    """The label is refuted by what is there; which commit runs would take the whole history."""
    newer = world.change()
    world.cloud.deploy(WORKER, commit=newer)
    shallow = world.folder.parent / cause
    world.history.clone(shallow, depth=1)
    files = files_of(world, world.first)
    world.toml = world.toml.replace("[defaults]", f'[defaults]\nrepository = "{shallow}"')
    verdict = judged(world, files)
    assert (verdict.decision, verdict.report.status) == ("deny", "unknown")
    assert {"content-mismatch", "unknown-drift"} == set(codes(verdict))


IMAGE_TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"

[services.prediction-worker]
dockerfile = "Dockerfile"
"""
BOTH = "FROM python:3.12\nCOPY predictions/ predictions/\nCOPY shared/ shared/\n"
STARTED = f'{BOTH}CMD ["python", "{FILE}"]\n'
ONE = "FROM python:3.12\nCOPY predictions/ predictions/\n"


def test_a_commit_that_would_have_copied_more_is_not_what_runs(world: World) -> None:
    """Its own Dockerfile decides what an image of it holds, not that of the target alone."""
    world.toml = IMAGE_TOML
    world.history.commit({"Dockerfile": BOTH, FILE: "VERSION = 1\n"}, subject="with a library")
    without = files_of(world, "main")
    without.pop("shared/odds.py")
    target = world.history.commit({"Dockerfile": ONE, FILE: "VERSION = 2\n"}, subject="without it")
    world.cloud.deploy(WORKER, commit=target)
    verdict = judged(world, without, "")
    assert (verdict.decision, verdict.report.status) == ("deny", "unknown")
    assert reason(verdict, "content-mismatch").data["equals"] is None


def test_what_counted_for_the_commit_that_runs_counts(world: World) -> None:
    """A library that the target's image no longer has still belongs to the one that runs."""
    world.toml = IMAGE_TOML
    old = world.history.commit({"Dockerfile": BOTH, FILE: "VERSION = 1\n"}, subject="with a library")
    world.history.commit({"shared/odds.py": "ODDS = 1\n"}, subject="the library")
    target = world.history.commit({"Dockerfile": ONE, FILE: "VERSION = 2\n"}, subject="without it")
    world.cloud.deploy(WORKER, commit=target)
    verdict = judged(world, files_of(world, old), "")
    assert verdict.report.live[0].commit == old
    assert verdict.report.commits_behind == 2


def test_an_address_on_this_machine_is_the_workers_only_beside_an_emulator(world: World) -> None:
    """Whoever can deploy may write any address; the gate must not be sent to a door inside."""
    world.toml = world.toml.replace("[defaults]", '[defaults]\nevidence = ["health"]')
    settings = world.settings()
    live = Live(
        kind="service",
        project="p",
        region="r",
        url="http://127.0.0.1:9",
        revisions=(LiveRevision(revision="w-1", percent=100),),
    )
    causes = []
    for emulator in (settings.emulator, None):
        builder = plans.Builder(settings.model_copy(update={"emulator": emulator}))
        source = builder._evidence_source("health", settings.service(WORKER))(Deadline(60))
        causes.append(source.with_evidence(live).findings[0].data["cause"])
    assert causes == ["unavailable", "invalid-response"]
