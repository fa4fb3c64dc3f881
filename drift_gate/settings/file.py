"""``drift.toml`` and the environment as validated settings.

What stands nearer wins: the environment, the service's own table, ``[deploy]``, ``[policy]`` and
``[defaults]``, what is built in.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import Field, SecretStr

from drift_gate.errors import DriftConfigError
from drift_gate.facts import Fact
from drift_gate.policy import break_glass
from drift_gate.policy.acknowledgements import Acknowledgement
from drift_gate.policy.freezes import Freeze
from drift_gate.policy.verdict import JudgedBy
from drift_gate.relevance.rules import Rules
from drift_gate.runtime.spelling import near_misses
from drift_gate.runtime.values import is_address
from drift_gate.settings.dashboard_keys import DashboardKeys
from drift_gate.settings.deploy_keys import DeployKeys
from drift_gate.settings.document import Document, text_of
from drift_gate.settings.keys import (
    Batch,
    Defaults,
    Inventory,
    JournalKeys,
    PolicyKeys,
    ServiceSettings,
    Sinks,
)
from drift_gate.settings.lines import KeyPath
from drift_gate.settings.location import CONFIG, PREFIX, REMIND, SERVICE_NAME, environment, find
from drift_gate.settings.monitor import MonitorKeys
from drift_gate.settings.notify_keys import CHANNELS, SECRETS, NotifyKeys

log = logging.getLogger("drift_gate")

EMULATOR = "CLOUD_RUN_EMULATOR_HOST"
CACHE_DIR = "DRIFT_CACHE_DIR"
LOGINS = "DRIFT_REGISTRY_LOGINS"
HEARTBEAT = "DRIFT_HEARTBEAT_URL"
#: Variables with the prefix that are no key of the file.
_OTHER_VARIABLES = SECRETS | {
    CONFIG,
    CACHE_DIR,
    LOGINS,
    HEARTBEAT,
    REMIND,
    break_glass.SWITCH,
    break_glass.UNTIL,
}

#: Lists and tables cannot be set by a variable.
_NO_SCALARS = frozenset(
    {
        "commit_labels",
        "commit_env",
        "evidence",
        "image_labels",
        "reasons",
        "deny_paths",
        "warn_paths",
        "deny_subjects",
    }
)


class Settings(Fact):
    """The validated whole. ``file`` is the ``drift.toml`` that it came from."""

    file: Path
    services: Mapping[str, ServiceSettings]
    batch: Batch
    sinks: Sinks
    journal: JournalKeys
    monitor: MonitorKeys
    notify: NotifyKeys = NotifyKeys()
    dashboard: DashboardKeys = DashboardKeys()
    inventory: Inventory
    acknowledged: tuple[Acknowledgement, ...] = ()
    freeze: tuple[Freeze, ...] = ()
    emulator: str | None = None
    environ: Mapping[str, str] = Field(repr=False)

    @property
    def overrides(self) -> dict[str, str]:
        """The variables that stand before a key of the file, with their values."""
        return {name: self.environ[name] for name in sorted(_variable_names()) if name in self.environ}

    def judged_by(self, name: str) -> JudgedBy | None:
        """What judges the service ``name``; None: the file does not declare it."""
        if name not in self.services:
            return None
        digest = self.services[name].policy.digest
        return JudgedBy(file=str(self.file), hash=digest, overrides=self.overrides)

    @property
    def cache_dir(self) -> Path:
        """Where mirrors are kept: ``DRIFT_CACHE_DIR``, or the user's cache folder.

        Never a folder that everybody may write to: whoever plants a mirror there decides what is current.
        """
        if named := self.environ.get(CACHE_DIR):
            return Path(named).expanduser()
        if home := self.environ.get("XDG_CACHE_HOME"):
            return Path(home) / "drift-gate"
        if home := self.environ.get("HOME"):
            return Path(home) / ".cache" / "drift-gate"
        raise DriftConfigError(f"no folder for the mirror: set {CACHE_DIR}, or HOME")

    @property
    def checkout_cache_dir(self) -> Path | None:
        """Where what is learned of checkouts is kept: ``DRIFT_CACHE_DIR``; None: in each repository."""
        return self.cache_dir if self.environ.get(CACHE_DIR) else None

    @property
    def ca_file(self) -> Path | None:
        """The certificates that the gate's own requests trust instead of the usual ones; None: those."""
        named = self.environ.get("SSL_CERT_FILE")
        return Path(named) if named else None

    @property
    def proxy(self) -> str | None:
        """The proxy for the gate's own requests; None: none."""
        return self.environ.get("HTTPS_PROXY") or self.environ.get("https_proxy") or None

    def address(self, repository: str) -> str:
        """Where a mirror of ``repository`` is cloned from."""
        return repository if is_address(repository) else self.beside(repository).absolute().as_uri()

    def beside(self, path: str) -> Path:
        """``path`` as it stands in the file: relative ones stand beside it."""
        return self.file.parent / Path(path).expanduser()

    def service(self, name: str) -> ServiceSettings:
        """The settings of ``name``; raises ``DriftConfigError`` with the near misses."""
        if name not in self.services:
            known = ", ".join(self.services)
            hint = near_misses(name, self.services)
            raise DriftConfigError(f"{self.file}: no service {name!r}{hint} (declared: {known})")
        return self.services[name]

    def rules(self, name: str) -> Rules:
        """What decides on the relevant paths of ``name``, with the image below its own and others' images."""
        chain = [name, *_upon(self.services, name)]
        base = self.services[chain[-1]].base
        below = None if base is None else Rules(dockerfile=base)
        for each in reversed(chain):
            others = (other for other, one in self.services.items() if one.dockerfile and other != each)
            below = replace(self.services[each].rules, base=below, images=tuple(others))
        return below or self.services[name].rules

    def batch_service(self) -> str:
        """The service that gates a batch: the only one, or the one that ``[batch] requires`` names."""
        names = self.batch.requires or tuple(self.services)
        if len(names) != 1:
            raise DriftConfigError(
                f"{self.file}: several services are declared ({', '.join(names)}); "
                'name one, or set [batch] requires = ["…"]'
            )
        return names[0]


def tables_below(model: type[Fact]) -> dict[str, tuple[type[Fact], bool]]:
    """Each key of ``model`` that is a table of the file, with its model, and whether it is a list of them."""
    found = {}
    for key, info in model.model_fields.items():
        listed = get_origin(info.annotation) is tuple
        # A table that need not be there is a union with None.
        inner = get_args(info.annotation)[0] if get_args(info.annotation) else info.annotation
        if isinstance(inner, type) and issubclass(inner, Fact):
            found[key] = inner, listed
    return found


def registry_logins(environ: Mapping[str, str]) -> dict[str, tuple[str, SecretStr]]:
    """User and password for each registry that is not Google's, by host.

    From ``DRIFT_REGISTRY_LOGINS``, a JSON object of ``"host": "user:password"``. Raises
    ``DriftConfigError``, which repeats nothing of it.
    """
    try:
        read = json.loads(environ.get(LOGINS) or "{}")
        pairs = {str(host): str(login).partition(":") for host, login in read.items()}
    except (ValueError, AttributeError, RecursionError):
        pairs = {"": ("", "", "")}
    if not all(host and colon for host, (_, colon, _) in pairs.items()):
        raise DriftConfigError(f'environment {LOGINS}: is no JSON object of "host": "user:password"')
    return {host.lower(): (user, SecretStr(password)) for host, (user, _, password) in pairs.items()}


def load(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    ``start``: where the search for ``drift.toml`` begins (None: the working directory), upwards to
    the repository root; ``DRIFT_CONFIG`` in ``environ`` (None: the process environment) names the
    file instead. Raises one ``DriftConfigError`` with file, line and key of all that is wrong; an
    unknown ``DRIFT_…`` variable only warns, since others use the prefix too.
    """
    environ = environment() if environ is None else environ
    file = find(start, environ)
    text = text_of(file)
    for name, hint in unknown_variables(environ).items():
        log.warning("unknown variable %s%s", name, hint)
    return _read(file, text, tuple(environ.items()))


@lru_cache(maxsize=1)  # a check and what stands around it load several times, and find the same each time
def _read(file: Path, text: str, variables: tuple[tuple[str, str], ...]) -> Settings:
    environ = dict(variables)
    document = Document(file, text, ("defaults", "policy", "deploy", "services", *tables_below(Settings)))
    registry_logins(environ)
    services = _services(document, _variables(environ))
    _check_bases(document, services)
    batch = _batch(document, services)
    sinks = document.model(Sinks, ("sinks",), document.table("sinks"))
    journal = document.model(JournalKeys, ("journal",), document.table("journal"))
    monitor = _monitor(document, environ)
    notify = _notify(document, services)
    dashboard = document.model(DashboardKeys, ("dashboard",), document.table("dashboard"))
    inventory = document.model(Inventory, ("inventory",), document.table("inventory"))
    acknowledged = _acknowledged(document, services)
    freeze = _freezes(document, services)
    document.settle()
    return Settings(
        file=document.file,
        services=services,
        batch=batch,
        sinks=sinks,
        journal=journal,
        monitor=monitor,
        notify=notify,
        dashboard=dashboard,
        inventory=inventory,
        acknowledged=acknowledged,
        freeze=freeze,
        emulator=emulator(environ),
        environ=environ,
    )


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables with our prefix that set nothing, each with its near misses."""
    known = [*_variable_names(), *_OTHER_VARIABLES]
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return {name: near_misses(name, known) for name in unknown}


@cache
def _variable_names() -> Mapping[str, str]:
    """Keys set by ``DRIFT_<KEY>``: the scalars of ``[defaults]`` and ``[policy]``."""
    keys = {**Defaults.model_fields, **PolicyKeys.model_fields}
    return {PREFIX + key.upper(): key for key in keys if key not in _NO_SCALARS}


def _upon(services: Mapping[str, ServiceSettings], name: str) -> list[str]:
    """The services that make the image below that of ``name``, nearest first; each once."""
    chain: list[str] = []
    base = services[name].base
    while base is not None and base in services and base not in chain:
        chain.append(base)
        base = services[base].base
    return chain


def _check_bases(document: Document, services: Mapping[str, ServiceSettings]) -> None:
    for name, one in services.items():
        base = one.base
        if name in _upon(services, name):
            document.wrong(("services", name), ("base",), f"it is built upon itself ({base})")
        elif base is not None and base not in services and re.fullmatch(SERVICE_NAME, base):
            sentence = f"no service {base!r}{near_misses(base, services)}, and no path of a Dockerfile"
            document.wrong(("services", name), ("base",), sentence)


def _batch(document: Document, services: Collection[str]) -> Batch:
    batch = document.model(Batch, ("batch",), document.table("batch"))
    for name in batch.requires:
        if name not in services:
            sentence = f"no service {name!r}{near_misses(name, services)}"
            document.wrong(("batch",), ("requires",), sentence)
    return batch


def _monitor(document: Document, environ: Mapping[str, str]) -> MonitorKeys:
    """``[monitor]``; a secret comes from the environment where no file may hold it."""
    told = {"heartbeat_url": environ[HEARTBEAT]} if environ.get(HEARTBEAT) else {}
    values = document.table("monitor") | told
    return document.model(
        MonitorKeys, ("monitor",), values, lambda key: HEARTBEAT if key in told else ("monitor",)
    )


def _notify(document: Document, services: Collection[str]) -> NotifyKeys:
    """The tables of the channels are read one by one, so that a mistake names the table it stands in."""
    keys = dict(document.table("notify"))
    for name in CHANNELS.keys() & keys.keys():
        table = ("notify", name)
        keys[name] = document.model(CHANNELS[name], table, document.table(*table))
    for name in document.table("notify", "owners"):
        if name not in services:
            sentence = f"no service {name!r}{near_misses(name, services)}"
            document.wrong(("notify", "owners"), (name,), sentence)
    return document.model(NotifyKeys, ("notify",), keys)


def _acknowledged(document: Document, services: Collection[str]) -> tuple[Acknowledgement, ...]:
    found = []
    for number, table in enumerate(document.tables_in("acknowledged")):
        place = ("acknowledged", number)
        found.append(document.model(Acknowledgement, place, table))
        name = table.get("service")
        if isinstance(name, str) and name not in services:
            document.wrong(place, ("service",), f"no service {name!r}{near_misses(name, services)}")
    return tuple(found)


def _freezes(document: Document, services: Collection[str]) -> tuple[Freeze, ...]:
    found = []
    for number, table in enumerate(document.tables_in("freeze")):
        place = ("freeze", number)
        found.append(document.model(Freeze, place, table))
        told = table.get("services", ())
        for name in [told] if isinstance(told, str) else told if isinstance(told, list) else ():
            if isinstance(name, str) and name not in services:
                document.wrong(place, ("services",), f"no service {name!r}{near_misses(name, services)}")
    return tuple(found)


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: environ[name] for name, key in _variable_names().items() if name in environ}


def _services(document: Document, variables: Mapping[str, str]) -> dict[str, ServiceSettings]:
    layers = [
        (("defaults",), _known(document, Defaults, "defaults")),
        (("policy",), _known(document, PolicyKeys, "policy")),
        (("deploy",), _known(document, DeployKeys, "deploy")),
    ]
    names = document.table("services")
    if not names:
        document.wrong((), (), "no [services.NAME] table: nothing to check", place="")
    return {name: _service(document, name, layers, variables) for name in names}


def _known(document: Document, model: type[Fact], *path: str) -> dict[str, Any]:
    """The keys of a table that a ``model`` knows; each other one is a mistake."""
    table = document.table(*path)
    for key in table.keys() - model.model_fields.keys():
        document.wrong(path, (key,), f"unknown key{near_misses(key, model.model_fields)}")
    return {key: value for key, value in table.items() if key in model.model_fields}


def _service(
    document: Document,
    name: str,
    layers: Sequence[tuple[KeyPath, Mapping[str, Any]]],
    variables: Mapping[str, str],
) -> ServiceSettings:
    """The layers merged for one service: later ones win; each key remembers where it came from."""
    place = ("services", name)
    if not re.fullmatch(SERVICE_NAME, name):
        document.wrong(place, (), "no valid service name: it has lower-case letters, digits and -")
    merged: dict[str, Any] = {}
    origin: dict[str, KeyPath | str] = {}
    for where, layer in (*layers, (place, _known(document, ServiceSettings, *place))):
        merged |= layer
        origin |= dict.fromkeys(layer, where)
    merged |= variables
    origin |= {key: PREFIX + key.upper() for key in variables}
    return document.model(ServiceSettings, place, merged, lambda key: origin.get(key, place))


def emulator(environ: Mapping[str, str]) -> str | None:
    """The ``host:port`` that is asked in place of Google; None: Google. Raises ``DriftConfigError``."""
    value = environ.get(EMULATOR)
    if value and not re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9a-f:]+\]:\d{1,5}", value):
        raise DriftConfigError(f"environment {EMULATOR}: {value!r} is not host:port")
    return value or None
