"""Incidents behind a label that lied, and what the image and the worker's own files say of them.

Real files behind a real web server, a registry over HTTP, a loopback Cloud Run, a real repository; each
under the policy that is built in and under that of examples/drift.strict.toml.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.workers import fastapi_worker
from support.world import WORKER, World, codes
from test_incidents import STRICT

from drift_gate.fingerprint import take
from drift_gate.policy.codes import Decision
from drift_gate.testing.registry import FakeRegistry

LABEL = "org.opencontainers.image.revision"
FILE = "predictions/worker/worker.py"
COVERS = ("predictions/worker", "shared")


@dataclass
class Site:
    """The world with a registry, and with workers that run out of folders."""

    world: World
    registry: FakeRegistry
    stack: ExitStack
    folders: Path
    running: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.toml = self.world.toml.replace(
            "[defaults]", '[defaults]\nevidence = ["registry", "health"]\nhealth_timeout = "60s"'
        )

    def image(self, tag: str | None, *, label: str | None = None, layer: str = "", **more: object) -> str:
        """Push an image and return the name that pins it by digest."""
        labels = {LABEL: label} if label else {}
        digest = self.registry.push("worker", tag=tag, labels=labels, layer=layer.encode() or b"l", **more)
        return f"{self.registry.host}/worker@{digest}"

    def files(self, commit: str, *, changed: Mapping[str, str] | None = None) -> Path:
        """A folder with the files of ``commit``, as an image of it has them, and then ``changed``."""
        folder = self.folders / f"{commit[:12]}-{len(list(self.folders.iterdir()))}"
        self.world.history.git("worktree", "add", "-q", "--detach", str(folder), commit)
        shutil.rmtree(folder / "docs", ignore_errors=True)
        for path, text in (changed or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def runs(
        self, folder: Path, revision: str, *, commit: str | None = None, covers: tuple[str, ...] = COVERS
    ) -> None:
        """The service answers with what the worker in ``folder`` found as it started."""
        environ = {"K_SERVICE": WORKER, "K_REVISION": revision}
        taken = take(folder, covers=covers, commit=commit, environ=environ)
        port = self.stack.enter_context(fastapi_worker(taken))
        self.world.cloud.services[WORKER].uri = f"http://127.0.0.1:{port}"


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "folders").mkdir()
    with FakeRegistry() as registry, ExitStack() as stack:
        yield Site(world, registry, stack, tmp_path / "folders")


def deployed(site: Site, commit: str, image: str, **labels: str) -> str:
    return site.world.cloud.deploy(WORKER, image=image, labels={"commit-sha": commit, **labels})


def row_0(site: Site) -> None:
    """Nothing is wrong: label, image and files say the same."""
    commit = site.world.first
    revision = deployed(site, commit, site.image(commit, label=commit))
    site.runs(site.files(commit), revision, commit=commit)


def row_24(site: Site) -> None:
    """The deploy named the new commit before its image was pushed, and got the build before."""
    old = site.world.first
    new = [site.world.change() for _ in range(4)][-1]
    image = site.image(old, label=old)
    revision = deployed(site, new, image)
    site.image(new, label=new, layer="new", created=datetime.now(UTC) + timedelta(hours=1))
    site.runs(site.files(old), revision)


def row_24_unlabelled(site: Site) -> None:
    """The same where no image carries a label and no worker answers: the tag tells."""
    new = site.world.change()
    deployed(site, new, site.image(None, layer="old"))
    site.image(new, layer="new")


def row_25(site: Site) -> None:
    """Cached layers: the label of the image is new, its digest is new, its files are old."""
    old = site.world.first
    new = [site.world.change() for _ in range(4)][-1]
    revision = deployed(site, new, site.image(new, label=new))
    site.runs(site.files(old), revision, commit=new)


def row_26(site: Site) -> None:
    """Two builds of one commit raced for its tag; the one that runs lost it."""
    commit = site.world.first
    image = site.image(commit, layer="one")
    site.image(commit, layer="two")
    deployed(site, commit, image)


def row_26_proven(site: Site) -> None:
    """The same, and the image that runs says itself that it is that commit's: built twice, no harm done."""
    commit = site.world.first
    image = site.image(commit, label=commit, layer="one")
    site.image(commit, label=commit, layer="two")
    revision = deployed(site, commit, image)
    site.runs(site.files(commit), revision)


def row_27(site: Site) -> None:
    """A later deploy of another image kept the label of the one before."""
    commit = site.world.first
    deployed(site, commit, site.image(None, layer="one"))
    deployed(site, commit, site.image(None, layer="another"))


def row_32(site: Site) -> None:
    """Somebody deployed another application under the worker's name, with the worker's label."""
    commit = site.world.first
    revision = deployed(site, commit, site.image(commit, label=commit))
    folder = site.folders / "another"
    folder.mkdir()
    (folder / "main.py").write_text("print('a web shop')\n")
    site.runs(folder, revision, covers=(".",))


def row_37(site: Site) -> None:
    """Built from a work tree with a change that was never committed; the label is clean."""
    commit = site.world.first
    revision = deployed(site, commit, site.image(commit, label=commit))
    site.runs(site.files(commit, changed={FILE: "VERSION = 'mine'\n"}), revision)


def row_37_flag(site: Site) -> None:
    """The build stamped what it knew: the commit with `-dirty`."""
    commit = site.world.first
    revision = deployed(site, commit, site.image(commit, label=commit))
    site.runs(site.files(commit), revision, commit=f"{commit}-dirty")


def row_42(site: Site) -> None:
    """The assertion read back the label that it had just written; the image says what it is."""
    old = site.world.first
    new = [site.world.change() for _ in range(4)][-1]
    deployed(site, new, site.image(None, label=old))


def silent(site: Site) -> None:
    """Neither the registry nor the worker can be asked: what is left is the label, and that is said."""
    commit = site.world.first
    digest = "sha256:" + "0" * 64
    site.world.cloud.deploy(WORKER, image=f"127.0.0.1:9/worker@{digest}", labels={"commit-sha": commit})
    site.world.cloud.services[WORKER].uri = "http://127.0.0.1:9"


ROWS: list[tuple[str, Callable[[Site], None], Decision, set[str]]] = [
    ("0: label, image and files agree", row_0, "allow", set()),
    (
        "24: the image was pushed after the deploy",
        row_24,
        "deny",
        {"evidence-conflict", "too-many-commits-behind"},
    ),
    ("24: … and nothing but the tag tells", row_24_unlabelled, "deny", {"evidence-conflict"}),
    ("25: cached layers", row_25, "deny", {"content-mismatch", "too-many-commits-behind"}),
    ("26: a tag raced by two builds", row_26, "deny", {"evidence-conflict"}),
    ("26: … of which the image itself clears one", row_26_proven, "allow", set()),
    ("27: an inherited label", row_27, "deny", {"evidence-conflict"}),
    ("32: another application", row_32, "deny", {"content-mismatch"}),
    ("37: a changed work tree", row_37, "deny", {"content-mismatch"}),
    ("37: … that says so", row_37_flag, "deny", {"dirty-build"}),
    ("42: a label that was only read back", row_42, "deny", {"evidence-conflict", "too-many-commits-behind"}),
    ("-: nobody answers", silent, "warn", {"evidence-unreachable"}),
]


@pytest.mark.usefixtures("asked_once")
@pytest.mark.parametrize(
    ("facts", "decision", "wanted"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_what_the_gate_says(
    site: Site, facts: Callable[[Site], None], decision: Decision, wanted: set[str]
) -> None:
    """No claim that stronger evidence contradicts comes out as allow or warn; silence only warns."""
    facts(site)
    for policy in ("", STRICT):
        site.world.toml += policy
        verdict = site.world.verdict()
        assert verdict.decision == decision, [(each.code, each.message) for each in verdict.reasons]
        assert wanted <= set(codes(verdict))
        if decision == "allow":
            assert codes(verdict) == []


def test_all_evidence_is_kept_the_strongest_first(site: Site) -> None:
    row_0(site)
    (live,) = site.world.verdict().report.live
    assert [each.carrier for each in live.evidence] == [
        "fingerprint",
        "image-label",
        "revision-label",
        "health",
    ]


def test_without_further_evidence_the_label_is_believed(site: Site) -> None:
    """What the other rows find out is found out by asking, and by nothing else."""
    row_25(site)
    site.world.toml = site.world.toml.replace('evidence = ["registry", "health"]', "")
    assert site.world.verdict().decision == "allow"
