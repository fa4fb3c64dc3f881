"""``readiness.toml`` as validated settings: the sources, the checks, the calendar, the policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drift_gate.errors import DriftConfigError
from drift_gate.facts import Fact
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Enforcement, FailurePolicy
from drift_gate.runtime.values import near_misses
from drift_gate.settings import file as drift
from drift_gate.settings import keys
from drift_gate.settings.file import validated
from drift_gate.settings.keys import Duration, Name, PathText
from predictions.coordinator.readiness.facts import PHASES, ByHistory, Fixed, Phase, Threshold, Unit
from predictions.coordinator.readiness.parameters import used
from predictions.coordinator.readiness.reasons import REASONS, UNKNOWN
from predictions.coordinator.readiness.seasons import Break, Calendar

FILE_NAME = "readiness.toml"
VARIABLE = "COORDINATOR_READINESS"
#: As Google's own client reads it: a URL of what answers in BigQuery's place.
EMULATOR = "BIGQUERY_EMULATOR_HOST"

Model = TypeVar("Model", bound=Fact)


def _judged(reasons: Mapping[str, Decision]) -> Mapping[str, Decision]:
    for code in reasons:
        if code not in REASONS:
            raise ValueError(f"no reason code {code!r}{near_misses(code, REASONS)}")
    if UNKNOWN in reasons:
        raise ValueError(f"{UNKNOWN} is judged by failure_policy")
    return reasons


def _dated(query: str) -> str:
    if not used(query) & {"game_date", "day"}:
        raise ValueError("the query names no day (:day, @day or $day): it would answer for any")
    return query


def _dated_history(query: str) -> str:
    if not used(query) & {"first_day", "day"}:
        raise ValueError("the query names neither first_day nor day: it would read everything there is")
    return query


Query = Annotated[str, AfterValidator(_dated)]
HistoryQuery = Annotated[str, AfterValidator(_dated_history)]


class PolicyKeys(Fact):
    """``[policy]``: what is tolerated, and how long all checks may take together."""

    deadline: Annotated[Duration, Field(gt=0)] = 10.0
    failure_policy: Annotated[FailurePolicy | Mapping[str, FailurePolicy], BeforeValidator(keys.by_cause)] = (
        "fail"
    )
    enforcement: Enforcement = "deny"
    reasons: Annotated[Mapping[str, Decision], AfterValidator(_judged)] = Field(default_factory=dict)


class SqliteKeys(Fact):
    """A SQLite file, beside ``readiness.toml``."""

    kind: Literal["sqlite"]
    path: PathText


class ParquetKeys(Fact):
    """Parquet files: each table's name, and the file or pattern of files that it is read from."""

    kind: Literal["parquet"]
    tables: Annotated[Mapping[str, PathText], Field(min_length=1)]


class BigQueryKeys(Fact):
    """A project that the queries are billed to, each reading at most so many bytes."""

    kind: Literal["bigquery"]
    project: Name
    location: str | None = None
    maximum_bytes_billed: Annotated[int, Field(gt=0)] = 1_000_000_000


class CheckKeys(Fact):
    """What every check declares."""

    kind: Literal["metric", "features", "grading"] = "metric"
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    source: str
    query: Query
    fails: Literal["deny", "warn"] = "deny"


class MetricKeys(CheckKeys):
    """One number against its threshold."""

    day: Literal["game-date", "day-before"] = "game-date"
    unit: Unit
    history: HistoryQuery | None = None
    threshold: Threshold

    @model_validator(mode="after")
    def _limited(self) -> MetricKeys:
        if self.threshold == Fixed():
            raise ValueError("threshold: a limit is missing: at_least, at_most, or days and direction")
        _check_history(self.history, self.threshold)
        return self


class FeaturesKeys(CheckKeys):
    """The ids of those who have features, against the slate; ``at_least`` is in percent of it."""

    day: Literal["game-date", "day-before"] = "game-date"
    at_least: Annotated[float, Field(gt=0, le=100)] = 100.0


class GradingKeys(CheckKeys):
    """Grading by two definitions; a share without a threshold is only shown."""

    day: Literal["game-date", "day-before"] = "day-before"
    history: HistoryQuery | None = None
    of_predictions: Threshold = Fixed()
    of_players: Threshold = Fixed()

    @model_validator(mode="after")
    def _limited(self) -> GradingKeys:
        if self.of_predictions == self.of_players == Fixed():
            raise ValueError("of_predictions or of_players: a threshold is missing")
        _check_history(self.history, self.of_predictions, self.of_players)
        return self


def _check_history(query: str | None, *thresholds: Threshold) -> None:
    by_history = any(isinstance(each, ByHistory) for each in thresholds)
    if by_history and query is None:
        raise ValueError("history: a threshold by history needs the query for it")
    if query is not None and not by_history:
        raise ValueError("history: no threshold uses it")


SourceKeys = SqliteKeys | ParquetKeys | BigQueryKeys
AnyCheck = MetricKeys | FeaturesKeys | GradingKeys
_SOURCES: Mapping[str, type[SqliteKeys | ParquetKeys | BigQueryKeys]] = {
    "sqlite": SqliteKeys,
    "parquet": ParquetKeys,
    "bigquery": BigQueryKeys,
}
_CHECKS: Mapping[str, type[MetricKeys | FeaturesKeys | GradingKeys]] = {
    "metric": MetricKeys,
    "features": FeaturesKeys,
    "grading": GradingKeys,
}
#: The keys of a check that are tables of their own.
_THRESHOLDS = ("threshold", "of_predictions", "of_players")


class Settings(Fact):
    """The validated whole. ``file`` is the ``readiness.toml`` that it came from."""

    file: Path
    policy: PolicyKeys
    calendar: Calendar
    sources: Mapping[str, SourceKeys]
    checks: Mapping[str, AnyCheck]
    emulator: str | None = None

    def beside(self, path: str) -> Path:
        """``path`` as it stands in the file: relative ones stand beside it."""
        return self.file.parent / Path(path).expanduser()

    def of_phase(self, phase: Phase) -> list[str]:
        """The names of the checks that hold for ``phase``."""
        return [name for name, check in self.checks.items() if phase in check.phases]


def find(environ: Mapping[str, str], start: Path | None = None) -> Path | None:
    """Where ``readiness.toml`` is: what ``COORDINATOR_READINESS`` names, or beside ``drift.toml``.

    Without a ``drift.toml``, which is the drift gate's own matter: in the working directory. None: nowhere.
    Raises ``DriftConfigError`` where the named file is missing.
    """
    if named := environ.get(VARIABLE):
        file = Path(named).expanduser().absolute()
        if not file.is_file():
            raise DriftConfigError(f"environment {VARIABLE}: there is no file {file}")
        return file
    try:
        folder = drift.find(start, environ).parent
    except DriftConfigError:
        folder = start or Path()
    file = folder / FILE_NAME
    return file if file.is_file() else None


def declared(environ: Mapping[str, str]) -> Settings | None:
    """The settings in force; None: there is no file. Raises ``DriftConfigError``."""
    file = find(environ)
    return load(file, environ) if file else None


def load(file: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in ``file``. Raises ``DriftConfigError`` with file and key for whatever is wrong."""
    tables = drift.tables_of(file, ("policy", "calendar", "sources", "checks"))
    sources = {name: _source(file, name, table) for name, table in _named(file, tables, "sources").items()}
    checks = {name: _check(file, name, table) for name, table in _named(file, tables, "checks").items()}
    if not checks:
        raise DriftConfigError(f"{file}: no [checks.NAME] table: nothing to check")
    for name, check in checks.items():
        if check.source not in sources:
            hint = near_misses(check.source, sources)
            raise DriftConfigError(f"{file}: [checks.{name}] source: no source {check.source!r}{hint}")
    return Settings(
        file=file,
        policy=_whole(PolicyKeys, f"{file}: [policy]", drift.table_of(file, tables, "policy")),
        calendar=_calendar(file, drift.table_of(file, tables, "calendar")),
        sources=sources,
        checks=checks,
        emulator=environ.get(EMULATOR) or None,
    )


def _named(file: Path, tables: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The tables ``[kind.NAME]`` by name."""
    named = drift.table_of(file, tables, kind)
    for name in named:
        if not re.fullmatch(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", name):
            raise DriftConfigError(f"{file}: [{kind}.{name}]: a name has lower-case letters, digits and -")
    return {name: drift.table_of(file, named, name) for name in named}


def _whole(model: type[Model], place: str, table: Mapping[str, Any]) -> Model:
    return validated(model, table, lambda key: f"{place} {key}".rstrip())


def _source(file: Path, name: str, table: Mapping[str, Any]) -> SourceKeys:
    place = f"{file}: [sources.{name}]"
    return _whole(_SOURCES[_kind(place, table, _SOURCES, None)], place, table)


def _check(file: Path, name: str, table: Mapping[str, Any]) -> AnyCheck:
    place = f"{file}: [checks.{name}]"
    model = _CHECKS[_kind(place, table, _CHECKS, "metric")]
    for phase in _listed(table.get("phases")):
        if phase not in PHASES:
            raise DriftConfigError(f"{place} phases: no phase {phase!r}{near_misses(str(phase), PHASES)}")
    limits = {key: _threshold(place, key, table[key]) for key in _THRESHOLDS if key in table}
    return _whole(model, place, {**table, **limits})


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _kind(place: str, table: Mapping[str, Any], known: Mapping[str, object], default: str | None) -> str:
    kind = str(table.get("kind", default))
    if kind not in known:
        what = "is missing" if kind == "None" else f"no kind {kind!r}{near_misses(kind, known)}"
        raise DriftConfigError(f"{place} kind: {what} (known: {', '.join(known)})")
    return kind


def _threshold(place: str, key: str, table: object) -> Threshold:
    """A table of limits: of a history where it has ``days`` or ``direction``, else fixed ones."""
    if not isinstance(table, dict):
        raise DriftConfigError(f"{place} {key}: must be a table, such as {{at_least = 1}}")
    if {"days", "direction"} & table.keys():
        return _whole(ByHistory, f"{place} {key}", table)
    fixed = _whole(Fixed, f"{place} {key}", table)
    if fixed.at_least is not None and fixed.at_most is not None and fixed.at_most < fixed.at_least:
        raise DriftConfigError(f"{place} {key}: at_most is less than at_least: nothing would be normal")
    return fixed


def _calendar(file: Path, table: Mapping[str, Any]) -> Calendar:
    place = f"{file}: [calendar]"
    breaks = tuple(
        _whole(Break, f"{place} breaks {number}", each if isinstance(each, dict) else {"first": each})
        for number, each in enumerate(_listed(table.get("breaks")), 1)
    )
    return _whole(Calendar, place, {**table, "breaks": breaks} if "breaks" in table else table)
