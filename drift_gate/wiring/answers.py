"""The questions beside the verdict, put to the declared services, and what is noted for later checks."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from drift_gate import gate, questions
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.evidence import marks
from drift_gate.facts import Evidence, Target
from drift_gate.relevance import loaded_list as loaded_files
from drift_gate.relevance.selection import Selection
from drift_gate.runtime import regular_files
from drift_gate.runtime.deadline import Deadline, wait_logged
from drift_gate.settings.file import Settings, load
from drift_gate.settings.keys import ServiceSettings
from drift_gate.sources.git.blobs import BLOB_LIMIT
from drift_gate.sources.git.refs import REF_NAME
from drift_gate.wiring.plans import Builder, loaded_list, utc_now, work_tree
from drift_gate.wiring.trace import Traced, run

log = logging.getLogger("drift_gate")


def why(
    name: str, what: str, *, settings: Settings | None = None
) -> tuple[Target, list[questions.Answer] | None]:
    """Why a path or a commit counts for the service ``name``, as ``questions.why``; and the target."""
    settings = settings or load()
    with plans({name: settings.service(name)}, settings, live=True) as [plan]:
        case = questions.sides(plan)
        return case.target, plan.repository.ask(questions.why, case, what)


def difference(name: str, *, summary: bool, settings: Settings | None = None) -> questions.Difference:
    """What the service ``name`` lacks of its target, as ``questions.difference``."""
    settings = settings or load()
    with plans({name: settings.service(name)}, settings, live=True) as [plan]:
        return plan.repository.ask(questions.difference, questions.sides(plan), summary, utc_now())


def commits(ref: str, names: Sequence[str] = (), *, settings: Settings | None = None) -> dict[str, str]:
    """The commit that ``ref`` means for each of the services ``names`` (none: all), by service.

    A full or short commit id is itself; a branch, tag or HEAD is that of the service's repository. Raises
    ``DriftConfigError`` where nothing has that name, and ``SourceError`` where nobody can say.
    """
    settings = settings or load()
    chosen = _chosen(names, settings)
    if marks.is_commit_id(ref.strip().lower()):
        return dict.fromkeys(chosen, ref.strip().lower())
    if not REF_NAME.fullmatch(ref):
        raise DriftConfigError(f"{ref!r} is no commit id and no name of a ref: name a branch, a tag or HEAD")
    at_ref = {name: one.model_copy(update={"target_ref": ref}) for name, one in chosen.items()}
    with plans(at_ref, settings) as asked:
        return {plan.service: _commit_of(plan.repository, ref) for plan in asked}


def is_live(
    wanted: Mapping[str, str], *, settings: Settings | None = None, within: float | None = None
) -> dict[str, list[questions.Liveness]]:
    """Whether the ``wanted`` commit of each service is live, by service, as ``questions.is_live``.

    ``within`` ends the look after so many seconds; None leaves the deadline as set. Nothing of it is kept
    from an earlier question.
    """
    settings = settings or load()
    with plans(_chosen(tuple(wanted), settings), settings, live=True, within=within) as asked:
        cases = [(plan, questions.sides(plan)) for plan in asked]
        return {
            plan.service: plan.repository.ask(questions.is_live, case, wanted[plan.service])
            for plan, case in cases
        }


def holding(
    commit: str, ids: Mapping[str, Collection[str]], *, settings: Settings | None = None
) -> dict[str, dict[str, bool] | SourceError]:
    """By each service whether each of its ``ids`` holds ``commit``, as ``questions.holding``.

    A service that is not declared, or whose repository cannot say, has the error in place of an answer.
    Nothing is asked of Cloud Run. Raises ``DriftConfigError`` where ``commit`` is no commit id.
    """
    settings = settings or load()
    found: dict[str, dict[str, bool] | SourceError] = {}
    build = Builder(settings)
    build.load(())
    try:
        for name, each in ids.items():
            found[name] = _holding(build, settings, name, commit, each)
    finally:
        build.close()
    return found


def _holding(
    build: Builder, settings: Settings, name: str, commit: str, ids: Collection[str]
) -> dict[str, bool] | SourceError:
    if (service := settings.services.get(name)) is None:
        return SourceError(f"{name} is not declared in {settings.file} any more", "not-found")
    try:
        plan = build.plan(name, service, Deadline(service.deadline))
        return plan.repository.ask(questions.holding, commit, ids)
    except SourceError as error:
        return error


def learn(*, settings: Settings | None = None) -> dict[str, questions.Learned | SourceError]:
    """What each service with a Dockerfile or an entry point comes to at its target, kept for later processes.

    By the name of the service; a ``SourceError`` where its repository did not answer within
    ``clone_timeout``. Nothing is asked of Cloud Run.
    """
    settings = settings or load()
    chosen = {
        name: one for name, one in settings.services.items() if not settings.rules(name).by_patterns_alone
    }
    build = Builder(settings)
    if chosen:
        build.load(())
    try:
        return {name: _learned(build, name, one) for name, one in chosen.items()}
    finally:
        build.close()


def _learned(build: Builder, name: str, service: ServiceSettings) -> questions.Learned | SourceError:
    try:
        plan = build.plan(name, service, Deadline(service.clone_timeout))
        return plan.repository.ask(questions.learned_at, plan.workload.rules, plan.repository.target().commit)
    except SourceError as error:
        return error


def selection_at(name: str, ref: str | None, *, settings: Settings | None = None) -> tuple[str, Selection]:
    """What is relevant for the service ``name`` at ``ref`` (None: its target ref), and that commit."""
    settings = settings or load()
    service = settings.service(name)
    at_ref = service.model_copy(update={"target_ref": ref or service.target_ref})
    with plans({name: at_ref}, settings) as [plan]:
        commit = plan.repository.target().commit
        return commit, plan.repository.ask(questions.selection_at, plan.workload.rules, commit)


def trace(
    name: str,
    command: Sequence[str],
    *,
    settings: Settings | None = None,
    cwd: Path | None = None,
    seconds: float | None = None,
    out: TextIO | None = None,
) -> tuple[Traced, questions.Loaded]:
    """Runs ``command`` and holds what it loads against what counts for the service ``name`` at HEAD.

    HEAD is that of the repository of the service, or of the one that the settings lie in where the service
    has an address. ``cwd``, ``seconds`` and ``out`` are as ``trace.run`` has them. Raises
    ``DriftConfigError`` where there is no such repository or the command cannot be started, and
    ``SourceError`` where git does not answer.
    """
    settings = settings or load()
    root, service = here(name, settings)
    traced = run(command, root, settings.environ, cwd=cwd, seconds=seconds, out=out)
    with plans({name: service}, settings) as [plan]:
        commit = plan.repository.target().commit
        asked = (plan.workload.rules, commit, traced.files)
        return traced, plan.repository.ask(questions.traced_files, *asked)


def keep_loaded(name: str, paths: Collection[str], *, settings: Settings | None = None) -> Path:
    """Adds ``paths`` to what the work tree keeps as loaded for the service ``name``; the file that keeps it.

    Raises ``DriftConfigError`` where there is no repository, or where the file cannot be read or written.
    """
    settings = settings or load()
    root, service = here(name, settings)
    file = root / loaded_list(settings, service)
    try:
        kept = loaded_files.read(regular_files.read(file, BLOB_LIMIT)) if os.path.lexists(file) else {}
        text = loaded_files.text({**kept, name: [*kept.get(name, ()), *paths]})
        beside = file.with_name(f".{file.name}.new")
        beside.write_bytes(text.encode())
        beside.replace(file)
    except OSError as error:
        raise DriftConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise DriftConfigError(f"{file}: {error}") from error
    return file


def record(name: str, commit: str, settings: Settings) -> str:
    """Note in the ledger of the service ``name`` that it runs ``commit``; the id that was noted.

    ``commit``: a full or short commit id, noted as it is, or a branch, tag or HEAD of the repository, of
    which the full id is noted. Raises ``DriftConfigError`` where the service is not declared or has no
    ledger, or where nothing has that name, and ``SourceError`` where the ledger cannot be written.
    """
    from drift_gate.sources import ledger

    service = settings.service(name)
    if service.live != "ledger":
        raise DriftConfigError(f'{settings.file}: [services.{name}] has no ledger (live = "{service.live}")')
    if not marks.ids([Evidence(carrier="ledger", key="commit", value=commit)]):
        commit = commits(commit, [name], settings=settings)[name]
    ledger.record(settings.beside(service.ledger), name, commit, utc_now())
    return commit


@contextmanager
def plans(
    chosen: Mapping[str, ServiceSettings],
    settings: Settings,
    *,
    live: bool = False,
    within: float | None = None,
) -> Iterator[list[gate.Plan]]:
    """What a check would ask of each service, to ask something else; afterwards others may read with it.

    ``live``: what serves will be asked as well, by libraries that take long to load. ``within`` ends it after
    so many seconds; None leaves the deadline as set. Raises ``SourceError`` where a
    library does not load.
    """
    build = Builder(settings, fresh=True)
    build.load(chosen.values() if live else ())
    seconds = max(one.deadline for one in chosen.values())
    deadline = Deadline(seconds if within is None else min(seconds, within))
    try:
        with wait_logged(f"an answer about {', '.join(chosen)}", deadline):
            yield [build.plan(name, one, deadline) for name, one in chosen.items()]
    finally:
        build.close()


def _chosen(names: Sequence[str], settings: Settings) -> Mapping[str, ServiceSettings]:
    """The services ``names``; none: all that are declared."""
    return {name: settings.service(name) for name in names} or settings.services


def here(name: str, settings: Settings) -> tuple[Path, ServiceSettings]:
    """The work tree of the service ``name``, and the service as it is at HEAD there.

    Raises ``DriftConfigError`` where there is no repository.
    """
    service = settings.service(name)
    beside = settings.file.parent if service.mirrored else settings.beside(service.repository)
    root = work_tree(beside)
    if root is None:
        raise DriftConfigError(f"{beside} is in no git repository: there is nothing to hold a run against")
    here = {"repository": str(root), "history": "checkout", "target_ref": "HEAD"}
    return root, service.model_copy(update=here)


def _commit_of(repository: gate.Repository, ref: str) -> str:
    """The commit that ``ref``, which the ``repository`` was opened at, names; what is odd of it is logged."""
    try:
        target = repository.target()
    except SourceError as error:
        if error.cause != "target-not-found":
            raise
        raise DriftConfigError(f"{ref!r} is no commit id, and {error}") from error
    for finding in target.findings:
        log.warning("%s", finding.message)
    return target.commit
