"""Settings into the plans of one check: the only room that names concrete sources.

What a check needs from outside (grpc, Google's clients, git) loads here, before its clock starts.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from drift_gate import gate
from drift_gate.errors import SourceError
from drift_gate.facts import Carrier, EvidenceSource, Live, LiveSource
from drift_gate.journal import telemetry
from drift_gate.relevance import loaded_list as loaded_files
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.runtime.memory import Borrowed, Kept
from drift_gate.runtime.values import is_address
from drift_gate.settings.file import Settings, registry_logins
from drift_gate.settings.keys import EvidenceSourceName, ServiceSettings
from drift_gate.settings.location import FILE_NAME
from drift_gate.sources.git.repositories import Location, RepositoryProcess, load_for_images
from drift_gate.sources.live import CachedLive, LiveWithEvidence, WhenAsked

if TYPE_CHECKING:
    from drift_gate.delivery.contracts import Candidate
    from drift_gate.sources.cloud_run.clients import Clients
    from drift_gate.sources.cloud_run.reader import CloudRun
    from drift_gate.sources.http.client import Http
    from drift_gate.sources.registry.oci import Cache

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Seconds that loading the libraries may take: a disk may hang.
LOAD_SECONDS = 30.0


def utc_now() -> datetime:
    """The clock of the process, in UTC."""
    return datetime.now(UTC)


#: What each source of evidence brings at best.
_CARRIERS: dict[EvidenceSourceName, Carrier] = {"registry": "image-label", "health": "fingerprint"}


class Builder:
    """Makes the plans of one check; services of one repository and ref share one.

    ``fresh`` asks anew what is kept from earlier checks; ``reused`` says whether anything came from there.
    """

    def __init__(self, settings: Settings, *, fresh: bool = False) -> None:
        self._settings = settings
        self._fresh = fresh
        self._borrowed: list[Borrowed[Any, Any]] = []
        self._elsewhere = RepositoryProcess()
        self._repositories: dict[Hashable, gate.Repository] = {}
        self._config_paths: dict[str, str] = {}

    def load(self, services: Collection[ServiceSettings]) -> None:
        """Load the libraries that the check needs, before its clock starts.

        Raises ``SourceError`` where they do not come: nothing else bounds that.
        """
        cloud_run = any(one.live == "cloud-run" for one in services)
        others = any(one.evidence for one in services)
        images = not all(one.rules.by_patterns_alone for one in services)
        if (cloud_run, others, images) in process().loaded and pool().at_hand:
            return
        pool().start()  # before there is a second thread
        deadline = Deadline(LOAD_SECONDS)
        jobs: dict[str, Callable[[], None]] = {
            "libraries": partial(_load, cloud_run, others),
            "reading": partial(pool().ready, deadline, load_for_images if images else None),
        }
        for loaded in gather(jobs, deadline).values():
            if isinstance(loaded, SourceError) and loaded.cause == "timeout":
                raise SourceError(f"a library did not load within {LOAD_SECONDS:g} s", "timeout", True)
            if isinstance(loaded, SourceError):
                raise loaded
        process().loaded.add((cloud_run, others, images))

    def begin(self, services: Collection[ServiceSettings], deadline: Deadline) -> None:
        """Have the targets of ``services`` found out while their plans are made."""
        for service in services:
            self._repository(service, deadline)
        self._elsewhere.begin(deadline)

    def plan(
        self, name: str, service: ServiceSettings, deadline: Deadline, candidate: Candidate | None = None
    ) -> gate.Plan:
        """What to check for one service; ``candidate``: as if that revision served alone, or None."""
        config_path = self._config_path(service)
        kept = _beside(config_path)
        workload = gate.Workload(
            service=name,
            kind=service.kind,
            rules=replace(self._settings.rules(name), loaded=(kept, name), own=(config_path, kept)),
            policy=service.policy,
            required_env=service.required_env,
            pins=service.pins,
            acknowledged=self._settings.acknowledged,
            config_path=config_path,
        )
        live = WhenAsked(partial(self.live, name, service, deadline, candidate))
        return gate.Plan(workload, live, self._repository(service, deadline))

    def close(self) -> None:
        """Nothing more is asked of the plans."""
        self._elsewhere.close()

    def live(
        self, name: str, service: ServiceSettings, deadline: Deadline, candidate: Candidate | None = None
    ) -> LiveSource:
        """Who says what serves one service; ``candidate`` as for ``plan``."""
        if service.live == "ledger":
            from drift_gate.sources.ledger import Ledger

            return Ledger(path=self._settings.beside(service.ledger), service=name)
        reader = self._cloud_run(name, service, deadline)
        source: LiveSource = _Alone(reader, candidate) if candidate else reader
        others = {_CARRIERS[each]: self._evidence_source(each, service) for each in service.evidence}
        if others:
            source = LiveWithEvidence(source=source, others=others, deadline=deadline)
        if candidate or not service.cache_ttl:
            return source
        key = (self._settings.emulator, name, service.model_dump_json())
        return CachedLive(source=source, key=key, kept=self._borrow(process().lives(service.cache_ttl)))

    def _borrow(self, kept: Kept[K, V]) -> Borrowed[K, V]:
        borrowed = Borrowed(kept, fresh=self._fresh)
        self._borrowed.append(borrowed)
        return borrowed

    @property
    def reused(self) -> bool:
        """Whether any answer was kept from an earlier check."""
        return self._elsewhere.reused or any(each.reused for each in self._borrowed)

    def _evidence_source(
        self, name: EvidenceSourceName, service: ServiceSettings
    ) -> Callable[[Deadline], EvidenceSource]:
        """Who knows more about the live revisions, once it is known by when."""
        from drift_gate.sources.health.reader import Health
        from drift_gate.sources.registry.artifact_registry import Registry

        emulator, environ = self._settings.emulator, self._settings.environ
        if name == "health":
            return lambda within: Health(
                deadline=within,
                path=service.health_path,
                patience=service.health_timeout,
                http=self._http,
                # An emulator on this machine may name addresses on this machine; Google never does.
                allow_loopback=emulator is not None,
            )
        return lambda within: Registry(
            deadline=within,
            label_keys=service.image_labels,
            token=process().clients(emulator).token,
            http=self._http,
            cache=process().images(),
            logins=registry_logins(environ),
        )

    def _http(self, deadline: Deadline) -> Http:
        from drift_gate.sources.http.client import Http

        return Http(deadline, ca_file=self._settings.ca_file, proxy=self._settings.proxy)

    def _cloud_run(self, name: str, service: ServiceSettings, deadline: Deadline) -> CloudRun:
        from drift_gate.sources.cloud_run.reader import CloudRun

        return CloudRun(
            service=name,
            kind=service.kind,
            project=str(service.project),
            region=str(service.region),
            deadline=deadline,
            clients=process().clients(self._settings.emulator),
            label_keys=service.commit_labels,
            env_keys=service.commit_env,
            tag_pattern=re.compile(service.image_tag_pattern) if service.image_tag_pattern else None,
            kept_env=frozenset(pin.env for pin in service.pins if pin.env is not None),
            kept_labels=frozenset(pin.label for pin in service.pins if pin.label is not None),
            rollout_timeout=service.rollout_timeout,
            now=utc_now,
            others="registry" in service.evidence,
            container=service.container,
        )

    def _repository(self, service: ServiceSettings, deadline: Deadline) -> gate.Repository:
        key = (
            service.mirrored,
            service.repository,
            service.target_ref,
            service.stale_target_limit,
            service.cache_ttl,
        )
        if key not in self._repositories:
            self._repositories[key] = self._elsewhere.at(self._place(service), deadline)
        return self._repositories[key]

    def _config_path(self, service: ServiceSettings) -> str:
        """As the function; a repository is looked at once, however many services it has."""
        if service.repository not in self._config_paths:
            self._config_paths[service.repository] = _config_path(self._settings, service)
        return self._config_paths[service.repository]

    def _place(self, service: ServiceSettings) -> Location:
        settings, address = self._settings, service.repository
        cache_dir = settings.cache_dir if service.mirrored else settings.checkout_cache_dir
        return Location(
            mirrored=service.mirrored,
            repository=settings.address(address) if service.mirrored else str(settings.beside(address)),
            target_ref=service.target_ref,
            cache_dir="" if cache_dir is None else os.path.abspath(cache_dir),
            environ=settings.environ,
            stale_target_limit=service.stale_target_limit,
            cache_ttl=service.cache_ttl,
            fresh=self._fresh,
        )


@dataclass(frozen=True, slots=True)
class _Alone:
    """A ``facts.LiveSource``: a candidate as if it served alone."""

    reader: CloudRun
    candidate: Candidate

    def read(self) -> Live:
        return self.reader.only(self.candidate.revision, self.candidate.url)

    def unchanged(self, live: Live) -> bool:
        return True


def loaded_list(settings: Settings, service: ServiceSettings) -> str:
    """Where the service's repository keeps what a run has loaded: beside its ``drift.toml``."""
    return _beside(_config_path(settings, service))


def _beside(config_path: str) -> str:
    return str(PurePosixPath(config_path).with_name(loaded_files.FILE_NAME))


def _config_path(settings: Settings, service: ServiceSettings) -> str:
    """Where the service's repository keeps the file at hand: in the same place, or at its root.

    At its root where the file at hand stands outside of the repository, in a container for instance.
    """
    root = work_tree(settings.file.parent)
    elsewhere = not is_address(service.repository) and root != work_tree(settings.beside(service.repository))
    if root is None or elsewhere:
        return FILE_NAME
    return Path(os.path.realpath(settings.file)).relative_to(root).as_posix()


def work_tree(folder: Path) -> Path | None:
    """The nearest folder from ``folder`` upwards that has a ``.git``; None: there is none."""
    real = Path(os.path.realpath(folder))
    return next((each for each in (real, *real.parents) if (each / ".git").exists()), None)


def _load(cloud_run: bool, others: bool) -> None:
    """Loads what will be needed, for its side effect: time."""
    if cloud_run:
        import drift_gate.sources.cloud_run.reader
    if others:
        import drift_gate.sources.health.reader
        import drift_gate.sources.registry.artifact_registry  # noqa: F401 (and the others, as said above)
    telemetry.load()  # Google's libraries bring the API along


class Process:
    """What one process keeps from check to check; see ``process``."""

    def __init__(self) -> None:
        #: For which sources the libraries are there: with Cloud Run, with further evidence,
        #: with images.
        self.loaded: set[tuple[bool, bool, bool]] = set()
        #: The service account of this process, by the metadata server that told it.
        self.accounts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._made: dict[Hashable, Any] = {}

    def clients(self, emulator: str | None) -> Clients:
        """Google's clients for an endpoint: a channel and a token serve every check."""
        from drift_gate.sources.cloud_run.clients import Clients

        return self._once(("clients", emulator), lambda: Clients(emulator))

    def images(self) -> Cache:
        """What registries said of digests, which never changes."""
        from drift_gate.sources.registry.oci import Cache

        return self._once("images", Cache)

    def lives(self, seconds: float) -> Kept[Hashable, Live]:
        """What was live, for so many seconds."""
        return self._once(("lives", seconds), lambda: Kept(seconds))

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            made: T = self._made[key]
            return made


def process() -> Process:
    """What this process keeps."""
    return _process_of(os.getpid())


# By process id: a channel does not survive a fork, and a lock that another thread held stays held. What
# the parent made is left alone in the child, since closing it there would be using it.
@cache
def _process_of(process_id: int) -> Process:
    return Process()
