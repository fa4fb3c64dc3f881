"""``deployment-drift plan`` and ``affected``: what a service lacks, by live against target."""

from __future__ import annotations

import json

import pytest
from support.world import CLOUD_RUN, WORKER, World

from drift_gate.commands import main

DEPLOY = """
[deploy]
builder = "buildah"
image = "us-west2-docker.pkg.dev/test-project/images/{service}"
traffic = [10, 50]

"""
FRONT = '[services.front]\npaths = ["docs/"]\n'


class Asked:
    """The command line in this process, over a world whose services run its first commit."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.world = world
        self._capsys = capsys
        world.toml = CLOUD_RUN.replace("[services", f"{DEPLOY}[services") + FRONT
        world.cloud.deploy(WORKER, commit=world.first)
        world.cloud.deploy("front", commit=world.first)
        world.history.git("remote", "add", "origin", "https://bot:hunter2@github.com/acme/predictions.git")
        monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
        monkeypatch.chdir(world.folder)

    def __call__(self, *args: str) -> tuple[int, str]:
        self.world.settings()
        self._capsys.readouterr()
        code = main.main(args)
        out, _ = self._capsys.readouterr()
        assert "hunter2" not in out
        return code, out


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(world, monkeypatch, capsys)


def test_a_plan_says_what_is_missing_why_it_counts_and_what_to_do(asked: Asked) -> None:
    """The whole gap, whatever the last push changed; nothing of it is kept."""
    missing = asked.world.history.commit({"shared/odds.py": "1\n"}, subject="fix the odds")
    target = asked.world.change("docs/guide.txt")
    asked.world.toml = asked.world.toml.replace(FRONT, "")
    code, out = asked("plan")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == [WORKER, "to", "deploy"]
    assert ["live", asked.world.first[:12], "100", "%", f"{WORKER}-00001"] in lines
    assert ["target", target[:12], "refs/heads/main"] in lines
    assert any(line[:2] == ["missing", missing[:12]] and line[-2:] == ["(Ada", "Tester)"] for line in lines)
    assert ["shared/odds.py", "←", "paths:", "/shared/"] in lines
    link = f"https://github.com/acme/predictions/compare/{asked.world.first}...{target}"
    assert ["compare", link] in lines
    assert ["run", "deployment-drift", "deploy", WORKER] in lines
    assert "10 %, 50 %, 100 %" in out
    assert not (asked.world.folder / ".drift" / "journal.sqlite").exists()


def test_each_service_has_a_plan_of_its_own(asked: Asked) -> None:
    """Those without anything to do in a line, first; the others in full, and a sum."""
    asked.world.change("docs/guide.txt")
    code, out = asked("plan")
    assert code == 0
    assert out.startswith(f"{WORKER}  nothing to do  {asked.world.first[:12]}\n\nfront  to deploy\n")
    assert out.endswith("2 services: 1 to deploy, 1 nothing to do\n")


def test_json_has_each_commit_with_its_page(asked: Asked) -> None:
    commit = asked.world.change()
    code, out = asked("plan", WORKER, "--format", "json")
    (told,) = json.loads(out)["services"]
    assert (code, told["action"], told["commit"], told["commits_behind"]) == (0, "deploy", commit, 1)
    assert told["serving"] == [{"revision": f"{WORKER}-00001", "percent": 100, "commit": asked.world.first}]
    assert told["missing"][0]["url"] == f"https://github.com/acme/predictions/commit/{commit}"
    assert told["why"].startswith("1 relevant commit missing for ")


def test_markdown_lets_no_commit_write_markup(asked: Asked) -> None:
    asked.world.history.commit({"shared/a.py": "1\n"}, subject="a | b <img>", author="*Eve*")
    code, out = asked("plan", WORKER, "--format", "markdown")
    assert code == 0
    assert r"| a \| b \<img\> | \*Eve\* |" in out
    assert out.startswith(rf"**{WORKER}**: to deploy: 1 relevant commit missing")


def test_a_plan_as_annotations(asked: Asked) -> None:
    asked.world.change("docs/guide.txt")
    _, out = asked("plan", "--format", "github")
    first, second = out.splitlines()
    assert first.startswith(f"::notice title=drift plan%3A {WORKER}::nothing to do")
    assert second.startswith("::notice title=drift plan%3A front::to deploy: 1 relevant commit missing")


def test_what_is_not_known_is_no_plan(asked: Asked) -> None:
    """3, and the others are told all the same."""
    asked.world.toml += '[services.gone]\npaths = ["shared/"]\n'
    code, out = asked("plan")
    assert code == 3
    assert "gone  unknown\nwhy     the service gone in test-project/us-west2 does not exist" in out
    assert out.endswith("3 services: 2 nothing to do, 1 unknown\n")


def test_what_is_newer_than_the_target_is_not_deployed_over(asked: Asked) -> None:
    newer = asked.world.history.commit({"shared/odds.py": "2\n"}, branch="fix")
    asked.world.cloud.deploy(WORKER, commit=newer)
    code, out = asked("plan", WORKER, "--format", "json")
    (told,) = json.loads(out)["services"]
    assert (code, told["action"], told["steps"]) == (0, "stop", [])
    assert "1 relevant commit that refs/heads/main lacks: a deploy would go backwards" in told["why"]


def test_a_rollout_under_way_is_waited_for(asked: Asked) -> None:
    asked.world.cloud.roll_out(WORKER, commit=asked.world.change())
    code, out = asked("plan", WORKER, "--format", "json")
    (told,) = json.loads(out)["services"]
    assert (code, told["action"]) == (0, "wait")


def test_old_files_under_the_right_commit_are_deployed_anew(asked: Asked) -> None:
    """Nothing is behind, and what serves is not what it says: only a build can cure that."""
    asked.world.cloud.deploy(
        WORKER, commit=asked.world.first, labels={"commit-sha": f"{asked.world.first}-dirty"}
    )
    _, out = asked("plan", WORKER, "--format", "json")
    (told,) = json.loads(out)["services"]
    assert told["action"] == "deploy"
    assert told["why"].startswith("dirty-build: ")


def test_without_a_builder_the_plan_says_so(asked: Asked) -> None:
    asked.world.toml = asked.world.toml.replace('builder = "buildah"', "")
    asked.world.change()
    _, out = asked("plan", WORKER)
    assert "run      deploy it as before: no builder is declared for it" in out
    assert "deployment-drift deploy" not in out


def test_a_merge_makes_those_stale_that_it_brings_something(asked: Asked) -> None:
    """Of HEAD what BASE does not have; what BASE has got meanwhile is not the merge's."""
    world = asked.world
    base = world.change("shared/odds.py")
    world.history.git("branch", "feature", world.first)
    world.history.commit({"docs/guide.txt": "1\n"}, branch="feature", subject="a guide", author="Bob")
    world.cloud.fault("*", code="UNAVAILABLE")  # nobody asks Cloud Run
    code, out = asked("affected", "main..feature")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{WORKER}: not affected"
    assert lines[1] == "front: affected by 1 relevant commit"
    assert lines[2].endswith("a guide  (Bob)")
    assert lines[-1].startswith(f"1 of 2 services affected by {base[:12]}..")
    assert asked("affected", "main..feature", "--format", "matrix") == (0, '{"service": ["front"]}\n')
    assert asked("affected", "main..main", "--format", "matrix") == (0, '{"service": []}\n')
    told = json.loads(asked("affected", f"{base[:10]}..feature", "front", "--format", "json")[1])
    assert [(each["service"], each["affected"], each["commits"]) for each in told["services"]] == [
        ("front", True, 1)
    ]
    assert told["base"] == base


@pytest.mark.parametrize(
    ("words", "code"), [("0" * 40 + "..HEAD", 3), ("mein..HEAD", 2), ("HEAD", 2), ("..", 2)]
)
def test_a_base_that_is_none_affects_nobody_silently(asked: Asked, words: str, code: int) -> None:
    """A base that was guessed wrong is an error, and no empty answer."""
    assert asked("affected", words, "--format", "matrix") == (code, "")
