"""Whatever Cloud Run says of a workload: a verdict, never another exception, and never a wrong `allow`.

``contradiction`` is the oracle. It looks at the messages alone, in its own words, and shares no code with
the gate.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.cloud import run_v2
from hypothesis import event, given, note
from hypothesis import strategies as st
from rich.console import Console
from support.fuzzing import CASES, FUZZ, NOW, OTHER_STRANGER, STRANGER, CachedLive, Line
from support.wire import Wire, WiredClients

from drift_gate import gate
from drift_gate.errors import CAUSES
from drift_gate.facts import Kind
from drift_gate.policy.verdict import Outcome, Policy, Verdict
from drift_gate.presentation import render
from drift_gate.relevance.rules import Rules
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.sources.git.repositories import DirectRepository

W = "prediction-worker"
PARENT = "projects/p/locations/r"
FOLDERS: dict[Kind, str] = {"service": "services", "worker-pool": "workerPools", "job": "jobs"}
NAMES = tuple(f"{W}-0000{number}" for number in range(4))
NEWEST = NAMES[3]
LABELS = ("commit-sha", "commit_sha", "git-sha", "git-commit")
VARIABLES = ("BUILD_COMMIT", "GIT_SHA", "COMMIT_SHA", "GIT_COMMIT")

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["", " ", "\x1b[2J", "a\nb", "[bold]", "<b>&`|*", "-x", "x" * 20_000, "\u202e", "\0"]),
)
INT32 = st.one_of(st.integers(-3, 120), st.integers(-(2**31), 2**31 - 1))
INT64 = st.one_of(st.integers(-2, 3), st.integers(-(2**63), 2**63 - 1))
STATE = st.sampled_from([0, 1, 2, 3, 4, 77])


@dataclass
class Case:
    """What Cloud Run would answer: the workload, and its revisions by short name."""

    kind: Kind
    workload: Any
    revisions: dict[str, Any]
    changed: list[str] = field(default_factory=list)

    def messages(self) -> dict[str, Any]:
        own = f"{PARENT}/{FOLDERS[self.kind]}/{W}"
        return {own: self.workload} | {
            f"{own}/revisions/{name}": message for name, message in self.revisions.items()
        }

    @property
    def raw(self) -> Any:
        """The bare message of the workload, which takes any value."""
        return type(self.workload).pb(self.workload)

    def entries(self) -> Any:
        """The traffic as it is, where there is any."""
        return self.raw.traffic_statuses if self.kind == "service" else self.raw.instance_split_statuses

    def holder(self, name: str) -> Any:
        """What has the labels and containers of a revision; of a job its template."""
        return self.raw.template if self.kind == "job" else run_v2.Revision.pb(self.revisions[name])

    def containers(self, name: str) -> Any:
        holder = self.holder(name)
        return holder.template.containers if self.kind == "job" else holder.containers


def healthy(kind: Kind, commit: str) -> Case:
    """A workload that runs ``commit`` and about which all agree."""
    own = f"{PARENT}/{FOLDERS[kind]}/{W}"
    container = run_v2.Container(image=f"images/worker:{commit}")
    done = run_v2.Condition(type_="Ready", state=4)
    labels = {"commit-sha": commit}
    more: dict[str, Any] = {
        "name": own,
        "generation": 7,
        "observed_generation": 7,
        "terminal_condition": done,
    }
    if kind == "job":
        task = run_v2.TaskTemplate(containers=[container])
        template = run_v2.ExecutionTemplate(labels=labels, template=task)
        return Case(kind, run_v2.Job(template=template, **more), {})
    revisions = {
        name: run_v2.Revision(
            name=f"{own}/revisions/{name}", labels=labels, containers=[container], create_time=NOW
        )
        for name in NAMES
    }
    more |= dict.fromkeys(("latest_ready_revision", "latest_created_revision"), f"{own}/revisions/{NEWEST}")
    if kind == "service":
        latest = run_v2.TrafficTargetStatus(type_=1, percent=100)
        return Case(kind, run_v2.Service(traffic_statuses=[latest], **more), revisions)
    split = run_v2.InstanceSplitStatus(type_=1, percent=100)
    return Case(kind, run_v2.WorkerPool(instance_split_statuses=[split], **more), revisions)


# What may be odd. Each takes the case, a way to draw, and the values that may name a commit.

Draw = Callable[[st.SearchStrategy[Any]], Any]
Change = Callable[[Case, Draw, st.SearchStrategy[str]], None]


def traffic(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    entries = case.entries()
    del entries[:]
    for _number in range(draw(st.integers(0, 4))):
        entry = entries.add(type_=draw(st.sampled_from([0, 1, 2, 2, 9])), percent=draw(PERCENT))
        entry.revision = draw(st.one_of(st.sampled_from(["", *NAMES, f"x/{NEWEST}"]), TEXT))
        if case.kind == "service":
            entry.tag, entry.uri = draw(TEXT), draw(TEXT)


PERCENT = st.one_of(st.sampled_from([0, 100, 100, 50, 1, 99]), INT32)


def percents(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    for entry in case.entries():
        entry.percent = draw(PERCENT)


def wanted(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    """The traffic as it was asked for, which is not what serves."""
    asked = case.raw.traffic if case.kind == "service" else case.raw.instance_splits
    del asked[:]
    for _number in range(draw(st.integers(0, 3))):
        asked.add(
            type_=draw(st.sampled_from([0, 1, 2])), percent=draw(INT32), revision=draw(st.sampled_from(NAMES))
        )


def labels(case: Case, draw: Draw, values: st.SearchStrategy[str]) -> None:
    held = case.holder(draw(st.sampled_from(NAMES))).labels
    if draw(st.booleans()):
        held.clear()
    for key in draw(st.lists(st.one_of(st.sampled_from(LABELS), TEXT), max_size=3)):
        held[key] = draw(values)


def own_labels(case: Case, draw: Draw, values: st.SearchStrategy[str]) -> None:
    for key in draw(st.lists(st.one_of(st.sampled_from(LABELS), TEXT), max_size=2)):
        case.raw.labels[key] = draw(values)


def image(case: Case, draw: Draw, values: st.SearchStrategy[str]) -> None:
    for container in case.containers(draw(st.sampled_from(NAMES))):
        forms = ("{}", "images/worker:{}", "host:5000/worker", "images/worker@sha256:{}", "a:{}@sha256:0")
        container.image = draw(st.sampled_from(forms)).format(draw(values))


def variables(case: Case, draw: Draw, values: st.SearchStrategy[str]) -> None:
    for container in case.containers(draw(st.sampled_from(NAMES))):
        for key in draw(st.lists(st.one_of(st.sampled_from(VARIABLES), TEXT), max_size=3)):
            container.env.add(name=key, value=draw(values))


def containers(case: Case, draw: Draw, values: st.SearchStrategy[str]) -> None:
    held = case.containers(draw(st.sampled_from(NAMES)))
    if draw(st.booleans()):
        del held[:]
    for _number in range(draw(st.integers(0, 2))):
        added = held.add(image=f"images/sidecar:{draw(values)}")
        if draw(st.booleans()):
            added.ports.add(container_port=draw(INT32))


def conditions(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    for condition in [case.raw.terminal_condition, *(case.raw.conditions.add() for _number in range(2))]:
        condition.type_, condition.message, condition.state = draw(TEXT), draw(TEXT), draw(STATE)
        if draw(st.booleans()):
            condition.last_transition_time.seconds = draw(INT64)
            condition.last_transition_time.nanos = draw(INT32)


def generations(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    case.raw.generation, case.raw.observed_generation = draw(INT64), draw(INT64)


def reconciling(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    case.raw.reconciling = draw(st.booleans())


def newest(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    name = st.one_of(st.sampled_from(["", *NAMES, f"x/y/{NAMES[1]}"]), TEXT)
    case.raw.latest_ready_revision, case.raw.latest_created_revision = draw(name), draw(name)


def template(case: Case, draw: Draw, values: st.SearchStrategy[str]) -> None:
    case.raw.template.labels[draw(st.sampled_from(LABELS))] = draw(values)
    if case.kind != "job":
        case.raw.template.containers.add(image=draw(values))


def lost(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    case.revisions.pop(draw(st.sampled_from(NAMES)), None)


def names(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    one = draw(st.sampled_from(sorted(case.revisions))) if case.revisions else None
    named = case.raw if one is None or draw(st.booleans()) else run_v2.Revision.pb(case.revisions[one])
    named.name = draw(st.one_of(st.sampled_from([W, NEWEST, ""]), TEXT))


def moments(case: Case, draw: Draw, _: st.SearchStrategy[str]) -> None:
    for message in case.revisions.values():
        made = run_v2.Revision.pb(message)
        made.create_time.seconds, made.create_time.nanos = draw(INT64), draw(INT32)
        made.log_uri = draw(TEXT)


FOR_ALL: tuple[Change, ...] = (
    labels, labels, own_labels, image, variables, containers, conditions, generations, reconciling, template,
)  # fmt: skip
FOR_REVISIONS: tuple[Change, ...] = (
    *FOR_ALL,
    traffic,
    traffic,
    percents,
    wanted,
    newest,
    lost,
    names,
    moments,
)


@st.composite
def cases(draw: st.DrawFn, line: Line) -> Case:
    """A workload in which up to five things were changed, often none or one."""
    kind: Kind = draw(st.sampled_from(["service", "service", "worker-pool", "job"]))
    case = healthy(kind, draw(st.sampled_from([line.target, line.target, line.same, line.behind])))
    good = (line.target, line.target, line.same, line.behind)
    values = st.one_of(
        st.sampled_from(good),
        st.sampled_from([line.target[:9], line.behind[:7].upper(), f" {line.same} ", f"{line.target}-dirty"]),
        st.sampled_from([STRANGER, OTHER_STRANGER, STRANGER[:8], "20260205", "main", "latest", "0" * 40]),
        TEXT,
    )
    for change in draw(st.lists(st.sampled_from(FOR_ALL if kind == "job" else FOR_REVISIONS), max_size=5)):
        if change in (labels, image, variables, containers) and kind != "job" and len(case.revisions) < 4:
            continue  # it may speak of one that is lost
        change(case, draw, values)
        case.changed.append(change.__name__)
    return case


# The oracle: why `allow` would be a lie, in words; None where it would not.


def contradiction(case: Case, line: Line) -> str | None:
    return next(_contradictions(case, line), None)


def _contradictions(case: Case, line: Line) -> Iterator[str]:
    raw = case.raw
    if raw.name.split("/")[-1] != W:
        yield "the answer is about something else"
    if raw.reconciling or raw.generation != raw.observed_generation or raw.terminal_condition.state in (1, 2):
        yield "a rollout is under way"
    serving = [NEWEST]
    if case.kind != "job":
        ready, created = (
            each.split("/")[-1] for each in (raw.latest_ready_revision, raw.latest_created_revision)
        )
        if ready != created:
            yield "the newest revision is not ready"
        shares = _shares(case, ready)
        if sum(percent for _, percent in shares) != 100 or any(not 0 <= share <= 100 for _, share in shares):
            yield f"the traffic is no whole: {shares}"
        serving = sorted({name for name, percent in shares if percent})
        if len(serving) != 1:
            yield f"not one revision serves: {serving}"
        if "" in serving or not set(serving) <= case.revisions.keys():
            yield f"a revision that serves cannot be read: {serving}"
            return
        if any(case.revisions[name].name.split("/")[-1] != name for name in serving):
            yield "a revision's answer is about another one"
    for name in serving:
        yield from _about_commit(case, name, line)


def _shares(case: Case, ready: str) -> list[tuple[str, int]]:
    """Name and percent of each entry of the traffic; ``""`` for one that stands for no revision."""
    return [
        (entry.revision.split("/")[-1] or (ready if entry.type_ == 1 else ""), entry.percent)
        for entry in case.entries()
    ]


def _about_commit(case: Case, name: str, line: Line) -> Iterator[str]:
    held = case.holder(name).labels
    carried = [held[key] for key in LABELS if key in held]
    listed = list(case.containers(name))
    values: list[str] = []
    for each in [one for one in listed if one.image.startswith("images/")] or listed[:1]:
        last = each.image.split("@")[0].split("/")[-1]
        carried += [last.rsplit(":", 1)[1]] if ":" in last else []
        values += [variable.value for variable in each.env if variable.name in VARIABLES]
    named = {meant for value in [*carried, *values] if (meant := _meant(value, line))}
    if not named:
        yield "nothing names a commit"
    if named - line.current:
        yield f"another commit is named: {sorted(named)}"
    if any(re.fullmatch("[0-9a-f]{7,64}[-_.+]dirty", value.strip().lower()) for value in carried):
        yield "the build was dirty"
    own = {
        meant for key in LABELS if key in case.raw.labels and (meant := _meant(case.raw.labels[key], line))
    }
    if own - named - line.current:  # one that holds the same relevant files says nothing else
        yield "the workload's own label says something else"


def _meant(value: str, line: Line) -> str | None:
    """The commit that ``value`` names: one of the line, a full-length id of no one's; None: no commit."""
    found = re.fullmatch("([0-9a-f]{7,64})(?:[-_.+]dirty)?", value.strip().lower())
    if not found:
        return None
    known = [each for each in (line.target, line.same, line.behind) if each.startswith(found[1])]
    return known[0] if known else found[1] if len(found[1]) >= 40 else None


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line.built(tmp_path_factory.mktemp("fuzz") / "repo")


def judged(case: Case, wire: Wire, clients: WiredClients, history: CachedLive) -> Verdict:
    """The verdict on ``case``, by the built-in policy."""
    wire.messages = case.messages()
    deadline = Deadline(60)
    live = CloudRun(
        service=W,
        project="p",
        region="r",
        kind=case.kind,
        deadline=deadline,
        clients=clients,
        now=lambda: NOW,
    )
    workload = gate.Workload(
        service=W,
        kind=case.kind,
        rules=Rules(paths=("/worker/",)),
        policy=Policy(max_drift_age=None),
        required_env=("MODEL",) if case.kind == "job" and "variables" in case.changed else (),
    )
    plan = gate.Plan(workload, live, DirectRepository(history))
    [verdict] = gate.check([plan], deadline=deadline, now=NOW)
    return verdict


def shown(verdict: Verdict) -> None:
    """Every way to print it works, and what is printed for programs is JSON."""
    outcome = Outcome.of([verdict], NOW, 1)
    assert json.loads(render.json(outcome))["services"][0]["decision"] == verdict.decision
    render.markdown(outcome, verbose=True).encode("utf-8")
    with Console(width=200, quiet=True) as console:
        console.print(render.table(outcome, verbose=True))


def test_no_message_makes_the_gate_fail_or_lie(line: Line) -> None:
    """No exception, a known cause for what is unknown, no number with it, and no `allow` that is a lie."""
    wire, history = Wire(), CachedLive(line.checkout())
    clients, came = WiredClients(wire), Counter[str]()

    @FUZZ
    @given(case=cases(line))
    def fuzz(case: Case) -> None:
        verdict = judged(case, wire, clients, history)
        why_not = contradiction(case, line)
        note(f"{case.changed}: {verdict.decision}, and the oracle says {why_not}\n{case.messages()}")
        event(verdict.decision)
        came[verdict.decision] += 1
        report = verdict.report
        if report.status == "unknown":
            assert report.unknown is not None
            assert report.unknown.cause in CAUSES
            assert (report.commits_behind, report.content_differs, report.drift_age_s) == (None, None, None)
        if verdict.decision == "allow":
            assert why_not is None
            came[f"allow {case.kind}"] += 1
        shown(verdict)

    fuzz()
    assert came["deny"] > 0
    sound = [came[f"allow {kind}"] for kind in FOLDERS]
    assert all(sound) if CASES >= 1000 else any(sound), f"the cases prove nothing: {came}"


def test_the_oracle_finds_nothing_wrong_with_a_healthy_workload(line: Line) -> None:
    wire, history = Wire(), CachedLive(line.checkout())
    clients = WiredClients(wire)
    for kind in FOLDERS:
        for commit, decision in ((line.target, "allow"), (line.same, "allow"), (line.behind, "deny")):
            case = healthy(kind, commit)
            assert (judged(case, wire, clients, history).decision, kind) == (decision, kind)
            assert (contradiction(case, line) is None) == (decision == "allow")


def test_an_enum_value_that_google_adds_one_day_is_no_warning(line: Line) -> None:
    """Google's messages warn of it on stderr, which is an exception where warnings are errors."""
    wire, history = Wire(), CachedLive(line.checkout())
    case = healthy("service", line.target)
    case.raw.terminal_condition.state = case.raw.conditions.add().state = 77
    case.raw.traffic.add(type_=77, percent=100, revision=NEWEST)
    case.raw.traffic_statuses.add(type_=77, percent=0, revision=NAMES[0], tag="old")
    assert judged(case, wire, WiredClients(wire), history).decision == "allow"
