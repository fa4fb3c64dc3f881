"""``readiness.toml`` as validated settings: the sources, the checks, the calendar, the policy."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from drift_gate.errors import DriftConfigError
from drift_gate.facts import Fact
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Enforcement
from drift_gate.runtime.spelling import near_misses
from drift_gate.runtime.values import OneOrMore
from drift_gate.settings import location
from drift_gate.settings.document import Document, text_of
from drift_gate.settings.keys import FailurePolicies, Name, PathText, PositiveDuration
from drift_gate.settings.lines import KeyPath
from predictions.coordinator.readiness.facts import ByHistory, Fixed, Phase, Threshold, Unit
from predictions.coordinator.readiness.parameters import used
from predictions.coordinator.readiness.reasons import REASONS, UNKNOWN
from predictions.coordinator.readiness.seasons import Calendar

FILE_NAME = "readiness.toml"
VARIABLE = "COORDINATOR_READINESS"
#: As Google's own client reads it: a URL of what answers in BigQuery's place.
EMULATOR = "BIGQUERY_EMULATOR_HOST"


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

    deadline: PositiveDuration = 10.0
    failure_policy: FailurePolicies = "fail"
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
    phases: Annotated[tuple[Phase, ...], Field(min_length=1), OneOrMore()]
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
        folder = location.find(start, environ).parent
    except DriftConfigError:
        folder = start or Path()
    file = folder / FILE_NAME
    return file if os.path.lexists(file) else None


def declared(environ: Mapping[str, str]) -> Settings | None:
    """The settings in force; None: there is no file. Raises ``DriftConfigError``."""
    file = find(environ)
    return load(file, environ) if file else None


def load(file: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in ``file``. Raises one ``DriftConfigError``: file, line and key of all that is wrong."""
    document = Document(file, text_of(file), ("policy", "calendar", "sources", "checks"))
    sources = {name: _source(document, name) for name in _names(document, "sources")}
    checks = {name: _check(document, name, sources) for name in _names(document, "checks")}
    if not checks:
        document.wrong((), (), "no [checks.NAME] table: nothing to check", place="")
    policy = document.model(PolicyKeys, ("policy",), document.table("policy"))
    calendar = document.model(Calendar, ("calendar",), document.table("calendar"))
    document.settle()
    return Settings(
        file=file,
        policy=policy,
        calendar=calendar,
        sources=sources,
        checks=checks,
        emulator=environ.get(EMULATOR) or None,
    )


def _names(document: Document, kind: str) -> list[str]:
    """The names of the tables ``[kind.NAME]``."""
    names = list(document.table(kind))
    for name in names:
        if not re.fullmatch(location.SERVICE_NAME, name):
            document.wrong((kind, name), (), "a name has lower-case letters, digits and -")
    return names


def _source(document: Document, name: str) -> SourceKeys:
    place = ("sources", name)
    table = document.table(*place)
    kind = _kind(document, place, table, _SOURCES, "sqlite")
    return document.model(_SOURCES[kind], place, {**table, "kind": kind})


def _check(document: Document, name: str, sources: Collection[str]) -> AnyCheck:
    place = ("checks", name)
    table = document.table(*place)
    kind = _kind(document, place, {"kind": "metric", **table}, _CHECKS, "metric")
    source = table.get("source")
    if isinstance(source, str) and source not in sources:
        document.wrong(place, ("source",), f"no source {source!r}{near_misses(source, sources)}")
    limits = {key: _threshold(document, place, key, table[key]) for key in _THRESHOLDS if key in table}
    return document.model(_CHECKS[kind], place, {**table, "kind": kind, **limits})


def _kind(
    document: Document, place: KeyPath, table: Mapping[str, Any], known: Mapping[str, object], default: str
) -> str:
    """The kind that ``table`` names; ``default`` where that is a mistake."""
    kind = str(table.get("kind"))
    if kind in known:
        return kind
    what = f"no kind {kind!r}{near_misses(kind, known)}" if "kind" in table else "is missing"
    document.wrong(place, ("kind",), f"{what} (known: {', '.join(known)})")
    return default


#: What a threshold that is wrong is taken for, so that nobody says it is missing, too.
_FIXED, _BY_HISTORY = Fixed(at_least=0), ByHistory(days=30, direction="low")


def _threshold(document: Document, place: KeyPath, key: str, table: object) -> Threshold:
    """A table of limits: of a history where it has ``days`` or ``direction``, else fixed ones."""
    if not isinstance(table, dict):
        document.wrong(place, (key,), "must be a table, such as {at_least = 1}")
        return _FIXED
    if {"days", "direction"} & table.keys():
        return document.model(ByHistory, (*place, key), table, otherwise=_BY_HISTORY)
    fixed = document.model(Fixed, (*place, key), table, otherwise=_FIXED)
    if fixed.at_least is not None and fixed.at_most is not None and fixed.at_most < fixed.at_least:
        document.wrong(place, (key,), "at_most is less than at_least: nothing would be normal")
    return fixed
