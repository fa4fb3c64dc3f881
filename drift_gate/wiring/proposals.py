"""A first ``drift.toml``: what git, gcloud's files and Cloud Run know of a repository that has none."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast, get_args

from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.evidence import marks
from drift_gate.facts import Kind, LiveRevision, Unknown
from drift_gate.gate import Repository
from drift_gate.runtime import regular_files
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.settings.file import CACHE_DIR, emulator
from drift_gate.settings.proposal import gcloud, matching, repository
from drift_gate.settings.proposal.gcloud import Told
from drift_gate.settings.proposal.matching import Match, Shelf
from drift_gate.settings.proposal.plan import Proposal, Service, chosen
from drift_gate.sources.git.default_branch import DefaultBranch, default_branch
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.repositories import Location, RepositoryProcess
from drift_gate.wiring import checks
from drift_gate.wiring.plans import LOAD_SECONDS, process, work_tree

#: Seconds that reading the repository may take, and asking Cloud Run what there is.
READ_SECONDS, LIST_SECONDS = 120.0, 10.0
KINDS: tuple[Kind, ...] = get_args(Kind)
#: What Google's own libraries take for the project.
_PROJECT = "GOOGLE_CLOUD_PROJECT"


def root_of(folder: Path) -> Path:
    """The root of the work tree of ``folder``. Raises ``DriftConfigError`` where it lies in none."""
    root = work_tree(folder)
    if root is None:
        raise DriftConfigError(f"{folder} is in no git repository: init begins in the one of your services")
    return root


def propose(
    root: Path, environ: Mapping[str, str], *, project: str | None = None, region: str | None = None
) -> Proposal:
    """What ``drift.toml`` in ``root`` should say. Nothing is written, and of the remote nothing asked.

    ``project`` and ``region`` None: as gcloud is set in ``environ``, else as the repository's deploys say.
    Where Cloud Run cannot be asked, the proposal says why. Raises ``SourceError`` where the repository cannot
    be read, and ``DriftConfigError`` where it has no commit.
    """
    git = Git(cwd=str(root), environ=environ, deadline=Deadline(LIST_SECONDS))
    branch = _branch(git)
    elsewhere = RepositoryProcess()
    pool().start()
    try:
        asked = elsewhere.at(_place(root, environ), Deadline(READ_SECONDS))
        shelf = Shelf.of(_called(git, root), asked.ask(repository.look, branch.commit))
        known = gcloud.configured(environ, _text)
        where = _given(project, "--project") or known.project or _variable(environ, _PROJECT) or shelf.project
        place = _given(region, "--region") or known.region or shelf.region
        live, unasked, account = _live(where, place, environ)
        every = [one for named in live.values() for one in named.values()]
        ids = {each for one in every for each in marks.ids(one.evidence)}
        found = matching.matched(shelf, live, asked.ask(repository.own, ids))
        return Proposal(
            project=where,
            region=place,
            ref=Told(branch.ref, branch.because),
            services=tuple(_services(asked, found.here, branch.commit)),
            elsewhere=found.elsewhere,
            account=account or (_member(known.account.value) if known.account else None),
            unasked=unasked,
        )
    finally:
        elsewhere.close()


def _branch(git: Git) -> DefaultBranch:
    try:
        return default_branch(git)
    except SourceError as error:
        if error.cause != "target-not-found":
            raise
        raise DriftConfigError(f"{error}: commit something first") from error


def _services(asked: Repository, here: tuple[Match, ...], commit: str) -> list[Service]:
    """Each match as it is best declared; all ways of all of them are read at once."""
    ways = [match.made.ways(match.live) for match in here]
    counts = iter(asked.ask(repository.counted, [rules for each in ways for rules in each], commit))
    return [chosen(match, each, [next(counts) for _ in each]) for match, each in zip(here, ways, strict=True)]


def _live(
    project: Told | None, region: Told | None, environ: Mapping[str, str]
) -> tuple[dict[Kind, Mapping[str, LiveRevision]], dict[Kind, Unknown], str | None]:
    """What Cloud Run lists, why it does not list the rest, and who asked (None: not known)."""
    if project is None or region is None:
        missing = " and ".join(
            name for name, told in (("project", project), ("region", region)) if told is None
        )
        unknown = Unknown(cause="not-found", message=f"no {missing} is known to ask Cloud Run about")
        return {}, dict.fromkeys(KINDS, unknown), None
    gather({"libraries": _load}, Deadline(LOAD_SECONDS))
    from drift_gate.sources.cloud_run.inventory import workloads

    clients, deadline = process().clients(emulator(environ)), Deadline(LIST_SECONDS)
    answers = gather(
        {
            kind: partial(
                workloads,
                kind,
                project=project.value,
                region=region.value,
                deadline=deadline,
                clients=clients,
            )
            for kind in KINDS
        },
        deadline,
    )
    errors = {kind: Unknown.of(each) for kind, each in answers.items() if isinstance(each, SourceError)}
    live = {kind: each for kind, each in answers.items() if not isinstance(each, SourceError)}
    account = None
    if live or any(each.cause == "permission-denied" for each in errors.values()):
        account, _ = checks.caller(emulator(environ))
    return cast("dict[Kind, Mapping[str, LiveRevision]]", live), errors, account


def _load() -> None:
    import drift_gate.sources.cloud_run.inventory  # noqa: F401 - for the time that it takes


def _place(root: Path, environ: Mapping[str, str]) -> Location:
    return Location(
        mirrored=False,
        repository=str(root),
        target_ref="HEAD",
        cache_dir=os.path.abspath(environ[CACHE_DIR]) if environ.get(CACHE_DIR) else "",
        environ=environ,
        stale_target_limit=0.0,
        cache_ttl=0.0,
        fresh=True,
    )


def _called(git: Git, root: Path) -> str:
    """What the repository is called: as its remote's address ends, else as its folder."""
    with contextlib.suppress(SourceError):
        address = os.fsdecode(git.run("config", "--get", "remote.origin.url")).strip().rstrip("/")
        if name := posixpath.basename(address.replace(":", "/")).removesuffix(".git"):
            return name
    return root.name


def _text(file: Path) -> str | None:
    try:
        return regular_files.read(file).decode("utf-8", "replace")
    except (OSError, ValueError):  # a name with a null byte is no name of a file
        return None


def _given(value: str | None, option: str) -> Told | None:
    return Told(value, option) if value else None


def _variable(environ: Mapping[str, str], name: str) -> Told | None:
    return Told(environ[name], name) if environ.get(name) else None


def _member(account: str) -> str:
    """An account as IAM writes it."""
    kind = "serviceAccount" if account.endswith(".gserviceaccount.com") else "user"
    return f"{kind}:{account}"
