"""A revision that starts its image in its own way: what it starts is what counts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from google.cloud import run_v2
from support.world import WORKER, World, codes

from drift_gate.facts import LiveStart
from drift_gate.policy.verdict import Verdict
from drift_gate.relevance.dockerfile.image import Image, Start
from drift_gate.relevance.start.live_start import started

TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"

[services.prediction-worker]
dockerfile = "Dockerfile"
"""
FILES = {
    "Dockerfile": 'FROM python:3.12\nWORKDIR /app\nCOPY . .\nCMD ["python", "-m", "front"]\n',
    "front.py": "import one\n",
    "worker.py": "import two\n",
    "one.py": "",
    "two.py": "",
    "lib/three.py": "",
    "late.py": "import three\n",
}


def starting(world: World, changed: str, **settings: Sequence[str] | str) -> Verdict:
    """The verdict where the live revision has ``settings`` and ``changed`` was changed since."""
    world.toml = TOML
    live = world.history.commit(FILES)
    world.history.commit({changed: "VALUE = 1\n"})
    world.cloud.deploy(WORKER, commit=live)
    give(world, **settings)
    return world.verdict()


def give(world: World, **settings: Sequence[str] | str) -> None:
    (container,) = list(world.cloud.revisions.values())[-1].containers
    for name, value in settings.items():
        if name == "python_path":
            container.env = [run_v2.EnvVar(name="PYTHONPATH", value=value)]
        else:
            setattr(container, name, value)


COMMAND = ["python", "-m", "worker"]


@pytest.mark.parametrize(
    ("settings", "changed", "status"),
    [
        ({}, "one.py", "behind"),
        ({}, "two.py", "identical"),
        ({"command": COMMAND}, "two.py", "behind"),
        ({"command": COMMAND}, "one.py", "identical"),
        ({"args": COMMAND}, "two.py", "behind"),
        ({"command": ["python"], "args": ["-m", "worker"]}, "two.py", "behind"),
        ({"command": ["python", "-m", "late"], "python_path": "/app/lib"}, "lib/three.py", "behind"),
        ({"command": ["python", "-m", "three"], "working_dir": "/app/lib"}, "lib/three.py", "behind"),
    ],
)
def test_what_the_revision_starts_is_what_counts(
    world: World, settings: dict[str, Sequence[str]], changed: str, status: str
) -> None:
    assert starting(world, changed, **settings).report.status == status


@pytest.mark.parametrize("command", [["/opt/vendor/run"], ["python", "-m", "$(MODULE)"]])
def test_a_start_that_is_not_understood_makes_everything_count(world: World, command: list[str]) -> None:
    verdict = starting(world, "two.py", command=command)
    assert verdict.report.status == "behind"
    assert "computed-import" in codes(verdict)


def test_a_path_out_of_a_secret_makes_everything_count(world: World) -> None:
    world.toml = TOML
    live = world.history.commit(FILES)
    world.history.commit({"two.py": "VALUE = 1\n"})
    world.cloud.deploy(WORKER, commit=live)
    (container,) = list(world.cloud.revisions.values())[-1].containers
    secret = run_v2.EnvVarSource(secret_key_ref=run_v2.SecretKeySelector(secret="s", version="1"))
    container.env = [run_v2.EnvVar(name="PYTHONPATH", value_source=secret)]
    verdict = world.verdict()
    assert (verdict.report.status, "computed-import" in codes(verdict)) == ("behind", True)


def test_declared_entry_points_win(world: World) -> None:
    world.history.commit(FILES)
    verdict = starting(world, "two.py", command=COMMAND)
    assert verdict.report.status == "behind"
    world.toml = TOML + 'entrypoint = ["front.py"]\n'
    assert world.verdict().report.status == "identical"


def test_revisions_that_start_in_two_ways_count_for_both(world: World) -> None:
    world.toml = TOML
    live = world.history.commit(FILES)
    world.history.commit({"two.py": "VALUE = 1\n"})
    first = world.cloud.deploy(WORKER, commit=live)
    second = world.cloud.deploy(WORKER, commit=live)
    give(world, command=COMMAND)
    world.cloud.set_traffic(WORKER, {first: 50, second: 50})
    assert {each.status for each in world.verdict().report.live} == {"behind"}


def image(entrypoint: tuple[str, ...], command: tuple[str, ...]) -> Image:
    return Image({}, {}, "/app", Start(entrypoint, command, "/app", {}), (), None)


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ((), (), (("ep",), ("cmd",))),
        (("own",), (), (("own",), ())),
        ((), ("arg",), (("ep",), ("arg",))),
        (("own",), ("arg",), (("own",), ("arg",))),
    ],
)
def test_the_platforms_rules(
    command: tuple[str, ...], args: tuple[str, ...], expected: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    """A command lets the image's CMD fall away, too."""
    start = started(image(("ep",), ("cmd",)), LiveStart(command=command, args=args)).start
    assert start is not None
    assert (start.entrypoint, start.command) == expected


def test_an_image_without_a_start_of_its_own_is_started_all_the_same() -> None:
    bare = Image({}, {}, "/app", None, (), None)
    start = started(bare, LiveStart(command=("python", "a.py"))).start
    assert start == Start(("python", "a.py"), (), "/app", {})
    assert started(bare, LiveStart(python_path="/x")).start is None
