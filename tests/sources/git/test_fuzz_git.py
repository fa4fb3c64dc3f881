"""Whatever git answers, cut, shuffled or any bytes at all: an unknown with a cause, and never `allow`.

The truth is fixed: the live commit lacks five commits of the target, and every path counts. So there is no
answer of git, damaged on the way, after which `allow` would be right.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from support.fuzzing import CASES, FUZZ, NOW, Line
from support.tape import Damage, Tape

from drift_gate import gate
from drift_gate.errors import CAUSES
from drift_gate.facts import Evidence, History, Live, LiveRevision
from drift_gate.policy.verdict import Policy, Verdict
from drift_gate.relevance.rules import Rules
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.checkout import Checkout
from drift_gate.sources.git.mirror import Mirror
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.repositories import DirectRepository

COMMANDS = (
    "*",
    "rev-parse",
    "cat-file",
    "diff-tree",
    "log",
    "ls-remote",
    "for-each-ref",
    "remote",
    "merge-base",
)
BYTES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"\n",
            b"\0",
            b" ",
            b"\0\0\n\n",
            b"true\nsha1\n",
            b"0" * 40 + b" commit\n",
            b"HEAD missing\n",
            b"\xff\n",
        ]
    ),
)
PLACE = st.floats(0, 1, exclude_max=True)


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    kinds = ["cut", "cut", "replaced", "swapped", "dropped", "doubled", "inserted", "flipped"]
    return Damage(
        command=draw(st.sampled_from(COMMANDS)),
        kind=draw(st.sampled_from(kinds)),
        at=draw(PLACE),
        to=draw(PLACE),
        data=draw(BYTES),
        times=draw(st.sampled_from([1, 1, 2, 99])),
        chunk=draw(st.sampled_from([1, 7, 1000, 1 << 16])),
    )


@dataclass(frozen=True)
class Deployed:
    """A ``facts.LiveSource``: one revision with all of the traffic, whose label is ``commit``."""

    commit: str

    def unchanged(self, live: Live) -> bool:
        return True

    def read(self) -> Live:
        label = Evidence(carrier="revision-label", key="commit-sha", value=self.commit)
        revision = LiveRevision(revision="w-1", percent=100, evidence=(label,))
        return Live(kind="service", project="p", region="r", revisions=(revision,))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line.built(tmp_path_factory.mktemp("fuzz") / "repo")


def judged(history: History, commit: str) -> Verdict:
    policy = Policy(max_drift_age=None)
    workload = gate.Workload(service="w", kind="service", rules=Rules(), policy=policy)
    plan = gate.Plan(workload, Deployed(commit), DirectRepository(history))
    [verdict] = gate.check([plan], deadline=Deadline(60), now=NOW)
    return verdict


def fuzzed(tape: Tape, make: Callable[[], History], line: Line) -> Counter[str]:
    """What the checks came to, by decision and cause, under as many damages as are asked for."""
    came = Counter[str]()

    @settings(FUZZ, max_examples=CASES // 3)  # there are three such tests
    @given(damage=damages(), short=st.booleans())
    @example(Damage("log", "cut", 0.4, 0, b"", 99, 7), False)  # each of these was an exception once
    @example(Damage("cat-file", "replaced", 0, 0, b"\xff\n", 99, 7), False)
    @example(Damage("cat-file", "dropped", 0, 0, b"", 99, 7), False)
    @example(Damage("rev-parse", "replaced", 0, 0, b"\0\0\n\n\n\n", 99, 7), False)
    @example(Damage("rev-parse", "inserted", 0.5, 0, b"\xff", 99, 7), True)
    @example(Damage("for-each-ref", "cut", 0.5, 0, b"", 99, 7), False)
    @example(Damage("diff-tree", "inserted", 0.5, 0, b"\0", 99, 7), False)
    def fuzz(damage: Damage, short: bool) -> None:
        tape.play(damage)
        verdict = judged(make(), line.behind[:10] if short else line.behind)
        unknown = verdict.report.unknown
        note(f"{verdict.decision}: {[each.message for each in verdict.reasons]}; {tape.asked}")
        assert verdict.decision != "allow"
        assert unknown is None or unknown.cause in CAUSES
        came[unknown.cause if unknown else verdict.decision] += 1

    with tape.put_in():
        tape.play(None)
        sound = judged(make(), line.behind)
        assert (sound.decision, sound.report.commits_behind) == ("deny", 6), "every path counts here"
        fuzz()
    return came


def checkout(line: Line, ref: str = "main") -> Checkout:
    return Checkout(
        path=line.path,
        target_ref=ref,
        deadline=Deadline(60),
        environ={"PATH": os.environ["PATH"], "HOME": str(line.path)},
        now=lambda: NOW,
        stale_target_limit=0,
    )


def test_a_checkout_never_passes_damaged_answers_for_current(line: Line) -> None:
    came = fuzzed(Tape(), lambda: checkout(line), line)
    assert came["invalid-response"] > 0
    assert came["deny"] > 0


def test_a_checkout_of_a_remotes_branch(line: Line, tmp_path: Path) -> None:
    """The target is what the remote answers now."""
    clone = tmp_path / "clone"
    here = Git(cwd=str(tmp_path), environ={"PATH": os.environ["PATH"]}, deadline=Deadline(60))
    here.run("clone", "--quiet", "--no-checkout", line.path.as_uri(), str(clone))
    cloned = Line(clone, line.behind, line.same, line.target)
    came = fuzzed(Tape(), lambda: checkout(cloned, "origin/main"), line)
    assert came["invalid-response"] > 0


@pytest.fixture
def cached(line: Line, tmp_path: Path) -> Callable[[], Mirror]:
    def mirror() -> Mirror:
        return Mirror(
            repository=line.path.as_uri(),
            target_ref="main",
            cache_dir=tmp_path / "cache",
            deadline=Deadline(60),
            environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            now=lambda: NOW,
            stale_target_limit=0,
        )

    mirror().target()
    return mirror


def test_a_mirror_heals_or_says_that_it_does_not_know(
    line: Line, cached: Callable[[], Mirror], tmp_path: Path
) -> None:
    [current] = (tmp_path / "cache").glob("*/repo-*")
    kept = shutil.copytree(current, tmp_path / "kept.git")
    there = Git(cwd=str(tmp_path), git_dir=str(kept), environ={}, deadline=Deadline(1e6))
    came = fuzzed(Tape(reference=there), cached, line)
    assert came["deny"] > came["history-unavailable"]
