"""``drift.toml`` in an image: it counts where the workload may read it, and not because it lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.world import WORKER, World

from drift_gate.facts import Entry
from drift_gate.relevance.narrowing import image_of, select
from drift_gate.relevance.python.config_names import names_of
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.imports import facts_of
from drift_gate.relevance.python.literals import literals_of, words_of
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection, Tree

DOCKERFILE = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nCMD python worker/main.py\n"
FILES: Mapping[str, str] = {
    "Dockerfile": DOCKERFILE,
    "drift.toml": '[services.worker]\ndockerfile = "Dockerfile"\n',
    "drift.loaded.json": '{"schema_version": 1, "services": {}}\n',
    "worker/main.py": "import odds\n",
    "worker/odds.py": "ODDS = 1\n",
    "worker/tool.py": "import drift_gate\nopen('drift.toml')\n",
    "settings.toml": "odds = 1\n",
}
RULES = Rules(dockerfile="Dockerfile", own=("drift.toml", "drift.loaded.json"))


def selected(rules: Rules, files: Mapping[str, str]) -> Selection:
    tree = Tree({path: Entry("100644", path) for path in files}, files.get)

    def facts(path: str) -> ImportFacts:
        return (facts_of if path.endswith(".py") else names_of)(files[path].encode())

    def literals(path: str) -> frozenset[str]:
        return (literals_of if path.endswith(".py") else words_of)(files[path].encode())

    return select(rules, image_of(rules, tree), tree.files, facts, literals)


def counts(rules: Rules, texts: Mapping[str, str]) -> bool:
    """Whether ``drift.toml`` does, beside these texts."""
    return "drift.toml" in selected(rules, {**FILES, **texts}).because


def test_it_does_not_count_where_nobody_of_the_image_reads_it() -> None:
    found = selected(RULES, FILES)
    assert set(found.because) == {"Dockerfile", "worker/main.py", "worker/odds.py", "settings.toml"}
    assert found.elsewhere == dict.fromkeys(["drift.toml", "drift.loaded.json"], ("the drift gate",))


@pytest.mark.parametrize(
    "code",
    [
        "open('drift.toml')",
        "open('/app/drift.toml')",
        "glob('*.toml')",
        "open(f'{name}.toml')",
        "path.suffix == '.toml'",
        "listdir('/app')",
        "open(os.path.join(os.path.dirname(__file__), '..', name))",
        "import drift_gate",
        "from shared.utils import deployment_checker",
        "from drift_gate.checker import require_current_worker",
        "try:\n    import drift_gate\nexcept ImportError: pass",
        "import_module('drift_gate')",
        "subprocess.run(['deployment-drift', 'require', 'worker'])",
        "eval(input())",
        "import_module(input())",
    ],
)
def test_it_counts_where_the_worker_may_read_it(code: str) -> None:
    """By its name or a part of that, from the place where a module lies, by the gate, by anything."""
    assert counts(RULES, {"worker/main.py": f"import odds\n{code}\n"})
    assert counts(RULES, {"worker/odds.py": f"{code}\n"})


TOLD: dict[str, dict[str, str]] = {
    "copied by name": {"Dockerfile": DOCKERFILE.replace("COPY . .", "COPY drift.toml worker ./")},
    "by ENV": {"Dockerfile": DOCKERFILE.replace("CMD", "ENV DRIFT_CONFIG=/app/drift.toml\nCMD")},
    "by a pattern": {"Dockerfile": DOCKERFILE.replace("CMD", "RUN cat *.toml > all.txt\nCMD")},
    "started": {"Dockerfile": DOCKERFILE.replace("CMD", "ENTRYPOINT deployment-drift require worker --")},
    "nobody knows": {"Dockerfile": DOCKERFILE.replace("CMD", "ARG X\nCMD $X")},
    "by a script": {"start.sh": "deployment-drift check && python worker/main.py\n"},
    "supervised": {"supervisor.conf": "command=deployment-drift require worker\n"},
    "in a text": {"settings.toml": 'file = "drift.toml"\n'},
}


@pytest.mark.parametrize("texts", TOLD.values(), ids=TOLD)
def test_it_counts_where_the_image_tells_of_it(texts: Mapping[str, str]) -> None:
    assert counts(RULES, texts)


@pytest.mark.parametrize(
    "rules",
    [replace(RULES, paths=("*.toml",)), replace(RULES, build_files=("drift.toml",)), replace(RULES, own=())],
    ids=["by paths", "by build_files", "as nobody's own"],
)
def test_it_counts_where_it_is_declared(rules: Rules) -> None:
    assert counts(rules, {})


def test_another_file_of_its_name_is_the_workers() -> None:
    rules, files = replace(RULES, own=("deploy/drift.toml",)), {"deploy/drift.toml": ""}
    assert counts(rules, files)
    assert "deploy/drift.toml" not in selected(rules, {**FILES, **files}).because


def test_an_acknowledgement_does_not_end_by_being_merged(world: World) -> None:
    """The image copies everything, ``drift.toml`` too; a change of the worker beside it is still one."""
    paths = 'paths = ["/predictions/worker/", "/shared/"]'
    world.toml = world.toml.replace(paths, 'dockerfile = "Dockerfile"')
    copied = DOCKERFILE.replace("worker/main.py", "predictions/worker/worker.py")
    live = world.history.commit({"Dockerfile": copied, "drift.toml": world.toml})
    world.cloud.deploy(WORKER, commit=live)
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    table = f'[[acknowledged]]\nservice = "{WORKER}"\nlive_commit = "{live}"\ncodes = ["drift-too-old"]\n'
    world.history.commit({"drift.toml": f'{world.toml}\n{table}reason = "so"\nuntil = {until}\n'})
    verdict = world.verdict()
    assert (verdict.decision, verdict.report.commits_behind) == ("allow", 0)
    world.change()
    assert world.verdict().report.commits_behind == 1
