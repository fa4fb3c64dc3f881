"""The five steps: shown they change nothing, run they make what is missing, and gcloud knows each word."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tarfile
from typing import Any, NamedTuple

import pytest
import yaml
from ops.asked_google import unknown
from ops.conftest import TOML, Team, team_in
from ops.stand_ins import DEPLOY, DIGEST, ROOT

STEPS = ("1", "2", "3", "4", "5")
#: The first words of calls that make something anew each time they are made.
MAKING = ("create", "submit")


def steps(team: Team, *args: str) -> list[list[str]]:
    """Run all five; what gcloud was called with, or would be."""
    team.shell.forget()
    printed = "".join(team.step(step, *args) for step in STEPS)
    return team.shell.calls() if not args else [shlex.split(line)[1:] for line in printed.splitlines()]


class Twice(NamedTuple):
    """What a first run of all steps shows, and what gcloud was called with in that and in a second one."""

    shown: list[list[str]]
    first: list[list[str]]
    second: list[list[str]]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    team = team_in(tmp_path_factory.mktemp("twice"))
    return Twice(steps(team, "--dry-run"), steps(team), steps(team))


def making(calls: list[list[str]]) -> list[list[str]]:
    return [call for call in calls if any(word in call for word in MAKING)]


class TestShown:
    def test_nothing_is_called_and_twice_is_the_same(self, team: Team) -> None:
        first, second = steps(team, "--dry-run"), steps(team, "--dry-run")
        assert first == second
        assert len(first) > 45
        assert team.shell.calls() == []
        assert not (team.repository.path / "deploy" / ".made").exists()

    @pytest.mark.heavy
    def test_what_is_shown_is_what_a_first_run_does(self, twice: Twice) -> None:
        """Beside questions, names that only gcloud gives, and digests that only a registry knows."""
        shown = [call for call in twice.shown if not {"describe", "list"} & {*call}]
        called = [call for call in twice.first if not {"describe", "list"} & {*call}]
        assert shown == [
            [word.replace("projects/p/channels/1", "CHANNEL") for word in call] for call in called
        ]

    def test_each_line_can_be_pasted(self, team: Team) -> None:
        for step in STEPS:
            for line in team.step(step, "--dry-run").splitlines():
                assert line.startswith("gcloud "), line
                team.shell.run(["sh", "-c", f"gcloud() {{ :; }}; {line}"])


class TestRun:
    def test_a_second_run_makes_nothing(self, twice: Twice) -> None:
        assert len(making(twice.first)) == 29
        assert making(twice.second) == []

    @pytest.mark.heavy
    def test_a_run_that_was_cut_short_is_made_good_by_the_next(self, team: Team) -> None:
        team.step("1")
        team.step("2")
        team.shell.there("pubsub topics prediction-completions").unlink()
        made = making(steps(team))
        assert ["pubsub", "topics", "create", "prediction-completions"] in [call[:4] for call in made]
        assert "prediction-requests" not in [call[3] for call in made if call[0] == "pubsub"]

    def test_each_refusal_of_gcloud_ends_the_step(self, team: Team) -> None:
        (team.shell.programs / "gcloud").write_text("#!/bin/sh\nexit 1\n")
        for step in STEPS:
            with pytest.raises(AssertionError, match=r"deploy/\d-.*\.sh"):
                team.step(step)

    def test_a_time_that_was_changed_is_changed_on_the_schedule(self, team: Team) -> None:
        team.step("4")
        team.shell.forget()
        team.step("4", settings={"START_AT": "30 7 * * *"})
        (call,) = [call for call in team.shell.calls() if call[2:5] == ["update", "http", "start"]]
        assert "--schedule=30 7 * * *" in call

    def test_the_way_past_the_check_is_paused_and_stays_so(self, team: Team) -> None:
        """Also where somebody resumed it by telephone and forgot it."""
        for _ in range(2):
            team.step("4")
            assert team.shell.there("scheduler jobs start-with-bypass").read_text() == "PAUSED"
            team.shell.run(["gcloud", "scheduler", "jobs", "resume", "start-with-bypass"])

    def test_no_token_goes_through_a_script(self, twice: Twice) -> None:
        """The secret is made empty; a person puts the token in."""
        made = [call[:2] for call in twice.first if "secrets" in call and "create" in call]
        assert made == [["secrets", "create"]]


class TestDeploy:
    def test_label_tag_and_digest_are_of_one_commit(self, team: Team) -> None:
        commit = team.repository.tip("main")
        team.step("3")
        for name in ("worker", "coordinator"):
            manifest = yaml.safe_load((team.shell.kept / f"{name}.yaml").read_text())
            template = manifest["spec"]["template"]
            image = f"us-west2-docker.pkg.dev/example-project/predictions/prediction-{name}"
            assert template["metadata"]["labels"]["commit-sha"] == commit
            assert template["spec"]["containers"][0]["image"] == f"{image}@{DIGEST}"
            submitted = [each for call in team.shell.calls() if "submit" in call for each in call]
            assert any(
                f"_IMAGE={image}:{commit}," in each and f"_COMMIT={commit}" in each for each in submitted
            )

    def test_an_image_is_built_of_what_was_committed(self, team: Team) -> None:
        """Not of the work tree, where somebody is in the middle of something."""
        commit = team.repository.tip("main")
        (team.repository.path / "drift.toml").write_text("half a thought")
        (team.repository.path / "new.py").write_text("")
        team.step("3")
        with tarfile.open(team.shell.kept / f"{commit}.tar.gz") as archive:
            held = archive.extractfile("drift.toml")
            assert held is not None
            assert held.read().decode() == TOML
            assert "new.py" not in archive.getnames()

    def test_an_older_commit_is_named(self, team: Team) -> None:
        older = team.repository.tip("main")
        team.repository.commit({"later.py": ""})
        team.step("3", "--commit", older)
        assert older in (team.shell.kept / "worker.yaml").read_text()
        with tarfile.open(team.shell.kept / f"{older}.tar.gz") as archive:
            assert "later.py" not in archive.getnames()
        assert "is no commit here" in team.step("3", "--commit", "nowhere", check=False)

    def test_settings_for_a_laptop_are_not_deployed(self, team: Team) -> None:
        """A ledger or a checkout is not there in a container; it would refuse every batch."""
        team.repository.commit({"drift.toml": '[defaults]\nlive = "ledger"\n'})
        assert "names no address" in team.step("3", check=False)
        assert team.shell.calls() == []

    def test_checks_of_the_data_that_are_not_there_are_not_declared(self, team: Team) -> None:
        assert "readiness.toml is not in" in team.step(
            "3", check=False, settings={"READINESS": "readiness.toml"}
        )

    def test_a_registry_without_an_answer_deploys_nothing(self, team: Team) -> None:
        code = '#!/bin/sh\necho "$@" >> calls\n'
        (team.shell.programs / "gcloud").write_text(code)
        assert "the registry names no digest" in team.step("3", check=False)
        assert "replace" not in (team.repository.path / "calls").read_text()


@pytest.mark.parametrize(
    ("args", "settings", "said"),
    [
        (["--dryrun"], {}, "what is --dryrun?"),
        (["--commit"], {}, "--commit wants a commit"),
        ([], {"PROJECT": ""}, "does not set PROJECT"),
    ],
)
def test_a_mistake_ends_before_anything_is_called(
    args: list[str], settings: dict[str, str], said: str, team: Team
) -> None:
    for step in STEPS:
        assert said in team.step(step, *args, check=False, settings=settings)
    assert team.shell.calls() == []


def test_settings_that_nobody_wrote_are_asked_for(team: Team) -> None:
    for script in sorted((team.repository.path / "deploy").glob("[1-5]*.sh")):
        done = team.shell.run(["bash", str(script), "--dry-run"], check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "cp deploy/settings.example deploy/settings" in done.stderr


class TestGcloudKnows:
    """The table that gcloud itself completes from, where gcloud is installed."""

    def test_each_command_and_each_flag(self, known: dict[str, Any], twice: Twice) -> None:
        """Of a first run and of a second one; and one that does not exist would be found."""
        for call in [*twice.first, *twice.second]:
            assert unknown(call, known) == [], shlex.join(call)
        assert unknown(["run", "services", "replace", "x", "--tag=y"], known) == ["--tag"]
        assert unknown(["run", "services", "swap", "x"], known) == ["swap"]


@pytest.mark.heavy
def test_shellcheck_finds_nothing() -> None:
    """Debian's package; .ci/run installs it."""
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck here")
    others = ["deploy/settings.example", "tests/ops/gcloud.sh", "scripts/demo.sh", ".ci/run"]
    scripts = [
        *sorted(DEPLOY.glob("*.sh")),
        *sorted((ROOT / "bin").rglob("*.sh")),
        *(ROOT / other for other in others),
    ]
    argv = ["shellcheck", "-x", "-P", str(ROOT), *map(str, scripts)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
