"""Relevance in whole checks: what a Dockerfile copies and the worker imports decides which commits count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.world import WORKER, World, codes, plan_of

from drift_gate import gate
from drift_gate.comparison.report import DriftReport
from drift_gate.relevance.memory import Memory
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.checkout import Checkout
from drift_gate.sources.git.repositories import DirectRepository
from drift_gate.testing import File
from drift_gate.wiring import checks

DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY predictions/worker/ ./
COPY shared/ ./shared/
COPY models/ ./models/
CMD ["gunicorn", "--bind", ":8080", "worker:app"]
"""
FILES = {
    "predictions/worker/Dockerfile": DOCKERFILE,
    "predictions/worker/worker.py": "from features import build\napp = build\n",
    "predictions/worker/features.py": "from shared import odds\ndef build():\n    from shared import late\n",
    "predictions/worker/notes.txt": "read at run time, perhaps\n",
    "predictions/worker/test_worker.py": "import worker\n",
    "shared/odds.py": "ODDS = 1\n",
    "shared/late.py": "LATE = 1\n",
    "shared/grading.py": "GRADES = 1\nNAMES = open('shared/grades.json')\n",
    "shared/grades.json": "{}\n",
    ".dockerignore": "**/*.md\n",
    "predictions/worker/readme.md": "words\n",
    "predictions/grader/grader.py": "import shared.grading\n",
}
TOML = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
[services.{WORKER}]
dockerfile = "predictions/worker/Dockerfile"
generated = ["/models/"]
"""


@pytest.fixture
def image(world: World) -> World:
    """The world with a worker that is built from a Dockerfile, deployed at its first commit."""
    world.toml = TOML
    world.first = world.history.commit(
        {
            **FILES,
            "predictions/worker/worker.py": FILES["predictions/worker/worker.py"],
            "docs/readme.md": None,
        }
    )
    world.cloud.deploy(WORKER, commit=world.first)
    return world


def because(report: DriftReport) -> dict[str, tuple[str, ...]]:
    return {path.path: path.because for commit in report.undeployed for path in commit.paths}


CHAIN = ("predictions/worker/features.py", "predictions/worker/worker.py")

# changed path → why it counts, or None
COUNTS: list[tuple[str, tuple[str, ...] | None]] = [
    ("predictions/worker/worker.py", ("entry point",)),
    ("predictions/worker/features.py", ("predictions/worker/worker.py",)),
    ("shared/odds.py", CHAIN),
    ("shared/late.py", CHAIN),
    ("shared/grading.py", None),
    ("shared/grades.json", None),
    ("predictions/worker/test_worker.py", None),
    ("predictions/worker/notes.txt", ("Dockerfile: COPY predictions/worker/",)),
    ("predictions/worker/readme.md", None),
    ("predictions/grader/grader.py", None),
    ("predictions/worker/Dockerfile", ("Dockerfile: the image is built from it",)),
    (".dockerignore", (".dockerignore: what stays out of the image",)),
]


@pytest.mark.parametrize(("path", "why"), COUNTS, ids=[row[0] for row in COUNTS])
def test_what_counts_and_why(image: World, path: str, why: tuple[str, ...] | None) -> None:
    """A commit counts when the image holds what it changes and the worker can reach it; it says why."""
    image.history.commit({path: FILES[path] + "\nCHANGED = 1\n"})
    report = image.verdict().report
    assert report.commits_behind == (0 if why is None else 1), image.verdict().reasons
    assert because(report) == ({} if why is None else {path: why})


def test_formatting_is_no_drift(image: World) -> None:
    """Comments, white space and line breaks of a relevant file: counted as neutral."""
    image.history.commit({"shared/odds.py": "# the odds\nODDS = (\n    1\n)\n"})
    report = image.verdict().report
    assert (report.status, report.commits_behind, report.commits_neutral) == ("identical", 0, 1)
    assert report.content_differs is False


def test_a_docstring_is_drift(image: World) -> None:
    """A program can read it."""
    image.history.commit({"shared/odds.py": '"""Words."""\nODDS = 1\n'})
    assert image.verdict().report.commits_behind == 1


def test_a_new_import_makes_its_file_relevant(image: World) -> None:
    """The set is the union of both ends: what only main imports counts, and what only the live one did."""
    image.history.commit({"shared/odds.py": "from shared import grading\nODDS = 1\n"})
    image.history.commit({"shared/grading.py": "GRADES = 2\n"})
    assert image.verdict().report.commits_behind == 2


def test_the_live_end_counts_too(image: World) -> None:
    """A file that main no longer imports still runs in the live image."""
    image.history.commit({"predictions/worker/features.py": "def build():\n    pass\n"})
    image.history.commit({"shared/odds.py": "ODDS = 2\n"})
    assert image.verdict().report.commits_behind == 2


def test_a_module_that_the_image_lacks(image: World) -> None:
    """It cannot start there: denied, with the chain (INCIDENTS.md, row 31)."""
    image.history.commit({"tools/extra.py": "X = 1\n", "shared/odds.py": "import tools.extra\nODDS = 1\n"})
    verdict = image.verdict()
    assert "image-incomplete" in codes(verdict)
    (reason,) = [each for each in verdict.reasons if each.code == "image-incomplete"]
    assert "tools/extra.py ← shared/odds.py ← " in reason.message


def test_what_git_never_holds_is_told_once_unless_declared(image: World) -> None:
    """A model that the build fetches: a warning, silenced by ``generated``."""
    assert codes(image.verdict()) == []
    image.toml = image.toml.replace('generated = ["/models/"]', "")
    assert codes(image.verdict()) == ["copy-not-in-git"]


def test_a_computed_import_makes_every_module_relevant(image: World) -> None:
    """Where nothing of the name is known; it is said, and nothing is missed."""
    computed = "import importlib, os\napp = importlib.import_module(os.environ['X'])\n"
    image.history.commit({"predictions/worker/worker.py": computed})
    image.history.commit({"shared/grading.py": "GRADES = 3\n"})
    verdict = image.verdict()
    assert verdict.report.commits_behind == 2
    assert "computed-import" in codes(verdict)


def test_a_table_of_names_is_a_complete_list(image: World) -> None:
    """A name out of a literal table narrows as an import does, and is no doubt."""
    table = "import importlib\nT = {'o': 'shared.odds:ODDS'}\n"
    name = "m, _, a = T['o'].partition(':')\napp = importlib.import_module(m)\n"
    image.history.commit({"predictions/worker/worker.py": table + name})
    image.history.commit({"shared/grading.py": "GRADES = 3\n"})
    image.history.commit({"shared/odds.py": "ODDS = 3\n"})
    verdict = image.verdict()
    assert verdict.report.commits_behind == 2
    assert "computed-import" not in codes(verdict)


def test_no_dockerfile_at_either_end_is_unknown(image: World) -> None:
    """A gate that reads a Dockerfile that never was would be silent for ever."""
    image.toml = image.toml.replace("worker/Dockerfile", "werker/Dockerfile")
    unknown = image.verdict().report.unknown
    assert unknown is not None
    assert unknown.cause == "nothing-relevant"
    assert "there is no predictions/werker/Dockerfile" in unknown.message


def test_a_dockerfile_that_came_later_is_told(image: World) -> None:
    """At the end without it the whole context counts."""
    image.toml = image.toml.replace("worker/Dockerfile", "worker/Dockerfile.new")
    image.history.commit({"predictions/worker/Dockerfile.new": DOCKERFILE})
    verdict = image.verdict()
    assert verdict.report.commits_behind == 1
    assert "path-matches-nothing" in codes(verdict)


def test_given_entry_points_win(image: World) -> None:
    """``entrypoint`` replaces what the Dockerfile says; paths of the image or of the repository."""
    image.toml += 'entrypoint = ["shared/grading.py"]\nimport_roots = ["."]\n'
    image.history.commit({"shared/grading.py": "GRADES = 2\n"})
    image.history.commit({"shared/odds.py": "ODDS = 2\n"})
    assert because(image.verdict().report) == {"shared/grading.py": ("entry point",)}


def test_entry_points_that_are_nowhere_are_unknown(image: World) -> None:
    """A name that leads to no file at any end."""
    image.toml += 'entrypoint = ["gone.py"]\n'
    unknown = image.verdict().report.unknown
    assert unknown is not None
    assert unknown.cause == "nothing-relevant"


def test_a_function_without_an_image(image: World) -> None:
    """Entry point and paths alone work; other files of the paths stay relevant."""
    image.toml = image.toml.partition("dockerfile")[0]
    image.toml += (
        'entrypoint = ["predictions/worker/worker.py"]\npaths = ["/predictions/worker/", "/shared/"]\n'
    )
    for path in ("shared/odds.py", "shared/grading.py", "predictions/worker/notes.txt", "docs/x.md"):
        image.history.commit({path: "CHANGED = 1\n"})
    assert set(because(image.verdict().report)) == {"shared/odds.py", "predictions/worker/notes.txt"}


def test_a_function_that_imports_from_outside_its_paths(image: World) -> None:
    """A list of paths is kept by hand; what the entry point imports counts, listed or not."""
    image.toml = image.toml.partition("dockerfile")[0]
    image.toml += 'entrypoint = ["predictions/worker/worker.py"]\npaths = ["/predictions/worker/"]\n'
    image.history.commit({"shared/odds.py": "ODDS = 2\n"})
    image.history.commit({"shared/grading.py": "GRADES = 2\n"})
    verdict = image.verdict()
    assert because(verdict.report) == {"shared/odds.py": CHAIN}
    assert codes(verdict) == ["behind-within-limit"]


def test_links_lead_to_their_target(image: World) -> None:
    """A link in the image and what it points to are both relevant."""
    image.history.commit(
        {"shared/real_odds.py": "ODDS = 1\n", "shared/odds.py": File("real_odds.py", "120000")}
    )
    image.cloud.deploy(WORKER, commit=image.history.tip("main"))
    image.history.commit({"shared/real_odds.py": "ODDS = 2\n"})
    assert because(image.verdict().report) == {"shared/real_odds.py": CHAIN}


def test_loops_and_odd_trees_do_not_stop_a_check(image: World) -> None:
    """A link loop, a syntax error, a submodule, names that differ in case: all kept, none in the way."""
    image.history.commit(
        {
            "shared/loop": File("loop", "120000"),
            "shared/out": File("../../../etc/passwd", "120000"),
            "shared/sub": File("a" * 40, "160000"),
            "shared/Odds.py": "ODDS = 3\n",
            "shared/odds.py": "def broken(:\n",
        }
    )
    assert image.verdict().report.commits_behind == 1


def test_a_start_script_is_read(image: World) -> None:
    """The image starts a shell script, and that the worker."""
    script = "#!/bin/sh\nset -e\nexec python worker.py\n"
    start = DOCKERFILE.partition("CMD")[0] + 'CMD ["./start"]\n'
    image.history.commit(
        {
            "predictions/worker/start": script,
            "predictions/worker/Dockerfile": start,
        }
    )
    image.cloud.deploy(WORKER, commit=image.history.tip("main"))
    image.history.commit({"shared/odds.py": "ODDS = 2\n", "shared/grading.py": "GRADES = 2\n"})
    verdict = image.verdict()
    assert because(verdict.report) == {"shared/odds.py": CHAIN}
    assert codes(verdict) == ["behind-within-limit"]


def known_here(image: World, memory: Memory) -> DriftReport:
    """The report of a check whose repository is read in this very process, by what ``memory`` has."""
    settings = image.settings()
    checkout = Checkout(
        path=image.folder,
        target_ref="main",
        deadline=Deadline(60),
        environ=settings.environ,
        now=checks.utc_now,
        stale_target_limit=0,
    )
    plan = replace(plan_of(WORKER, settings), repository=DirectRepository(checkout, memory))
    return gate.check([plan], deadline=Deadline(60), now=checks.utc_now())[0].report


def test_a_warm_check_parses_nothing(image: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known commits cost no listing, no content and no parsing: the same memory answers again."""
    image.history.commit({"shared/odds.py": "ODDS = 2\n"})
    memory = Memory()
    asked: list[str] = []

    def noted(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def noting(*args: Any) -> Any:
            asked.append(name)
            return real(*args)

        monkeypatch.setattr(owner, name, noting)

    noted(Checkout, "files")
    noted(Checkout, "contents")
    noted(memory.facts, "_read")
    cold = known_here(image, memory)
    assert set(asked) == {"files", "contents", "_read"}
    asked.clear()
    warm = known_here(image, memory)
    assert asked == []
    assert warm.undeployed == cold.undeployed


def test_a_file_too_large_to_read_may_import_anything(image: World) -> None:
    """Nothing is known of its imports, so every module counts; it is named and does not stop the check."""
    image.history.commit({"shared/odds.py": "TABLE = '" + "x" * 6_000_000 + "'\n"})
    image.history.commit({"shared/grading.py": "GRADES = 2\n"})
    verdict = image.verdict()
    assert verdict.report.commits_behind == 2
    assert "computed-import" in codes(verdict)


def test_a_file_that_the_upload_left_out_until_now_is_drift(image: World) -> None:
    """`.gcloudignore` decides like `.dockerignore`: a change of it counts, what it leaves out does not."""
    image.history.commit({".gcloudignore": ".git\nnotes.txt\n"})
    image.cloud.deploy(WORKER, commit=image.history.commit({"predictions/worker/notes.txt": "other words\n"}))
    assert image.verdict().report.commits_behind == 0
    image.history.commit({"predictions/worker/notes.txt": "words once more\n"})
    assert image.verdict().report.commits_behind == 0
    image.history.commit({".gcloudignore": ".git\n"})
    assert image.verdict().report.commits_behind == 2


def test_what_is_not_looked_at_is_said(image: World) -> None:
    """A named context and a base of the same repository: no clean allow until both are declared."""
    built = DOCKERFILE.replace("COPY shared/ ./shared/", "COPY --from=common . ./shared/")
    built = built.replace("python:3.12-slim", "registry.example/p/base:1")
    image.history.commit(
        {
            "predictions/worker/Dockerfile": built,
            "base/Dockerfile": "FROM python\nCOPY shared/odds.py /docs/\n",
        }
    )
    assert codes(image.verdict()) == ["behind-within-limit", "copy-not-in-git"]
    image.toml += 'build_contexts = {common = "shared"}\nbase = "base/Dockerfile"\n'
    assert codes(image.verdict()) == ["behind-within-limit"]


def test_what_a_link_of_a_declared_folder_leads_to_counts(world: World) -> None:
    """By `paths` alone: the build follows the link, so a change behind it is drift."""
    world.toml = TOML.split("dockerfile")[0] + 'paths = ["/worker/"]\n'
    linked = world.history.commit(
        {"worker/main.py": "", "lib/odds.py": "A = 1\n", "worker/common": File("../lib", "120000")}
    )
    world.cloud.deploy(WORKER, commit=linked)
    world.history.commit({"lib/odds.py": "A = 2\n"})
    report = world.verdict().report
    assert because(report) == {"lib/odds.py": ("link worker/common",)}


def test_a_worker_that_reads_its_own_source_changes_with_a_comment(image: World) -> None:
    """Elsewhere a comment is no change."""
    image.history.commit({"shared/odds.py": "ODDS = 1  # why\n"})
    assert image.verdict().report.commits_behind == 0
    reading = "import inspect, odds\ntext = inspect.getsource(odds)\n"
    image.history.commit({"shared/late.py": reading})
    image.history.commit({"shared/odds.py": "ODDS = 1  # how\n"})
    assert image.verdict().report.commits_behind == 3
