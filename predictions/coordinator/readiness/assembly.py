"""Settings into checks: the only room that names concrete sources. Imported late, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from predictions.coordinator.exceptions import MissingExtraError
from predictions.coordinator.readiness.checks import FeaturesCheck, GradingCheck, MetricCheck
from predictions.coordinator.readiness.facts import Check, Phase, Source
from predictions.coordinator.readiness.settings import (
    AnyCheck,
    BigQueryKeys,
    FeaturesKeys,
    GradingKeys,
    MetricKeys,
    ParquetKeys,
    Settings,
    SqliteKeys,
)
from predictions.coordinator.readiness.verdict import Policy


def checks_of(settings: Settings, phase: Phase) -> list[Check]:
    """The checks that hold for ``phase``; those of one source share it.

    Loads the libraries of their sources. Raises ``MissingExtraError`` where one is not installed.
    """
    names = settings.of_phase(phase)
    wanted = dict.fromkeys(settings.checks[name].source for name in names)
    sources = {name: _source(name, settings) for name in wanted}
    return [_check(name, settings.checks[name], sources, settings) for name in names]


def policy_of(settings: Settings) -> Policy:
    """The policy that judges them."""
    return Policy(**{key: settings.policy[key] for key in Policy.model_fields})


def _source(name: str, settings: Settings) -> Source:
    try:
        return _loaded(name, settings)
    except ImportError as error:
        keys = settings.sources[name]
        extra = {"parquet": "duckdb"}.get(keys.kind, keys.kind)
        raise MissingExtraError.of(f"{settings.file}: [sources.{name}]", extra) from error


def _loaded(name: str, settings: Settings) -> Source:
    keys = settings.sources[name]
    match keys:
        case SqliteKeys():
            from predictions.coordinator.readiness.sources.sqlite import Sqlite

            return Sqlite(settings.beside(keys.path))
        case ParquetKeys():
            from predictions.coordinator.readiness.sources.parquet import Parquet

            return Parquet({table: str(settings.beside(files)) for table, files in keys.tables.items()})
        case BigQueryKeys():
            from predictions.coordinator.readiness.sources import bigquery

            return bigquery.BigQuery(
                location=keys.location,
                maximum_bytes_billed=keys.maximum_bytes_billed,
                connect=partial(bigquery.client, keys.project, settings.emulator),
            )
        case _:
            assert_never(keys)


def _check(name: str, keys: AnyCheck, sources: Mapping[str, Source], settings: Settings) -> Check:
    source, phases = sources[keys.source], frozenset(keys.phases)
    match keys:
        case MetricKeys():
            return _metric(name, keys, source, settings)
        case FeaturesKeys():
            return FeaturesCheck(
                name=name,
                phases=phases,
                source=source,
                query=keys.query,
                day=keys.day,
                fails=keys.fails,
                at_least=keys.at_least,
            )
        case GradingKeys():
            return GradingCheck(
                name=name,
                phases=phases,
                source=source,
                query=keys.query,
                day=keys.day,
                fails=keys.fails,
                of_predictions=keys.of_predictions,
                of_players=keys.of_players,
                history=keys.history,
                calendar=settings.calendar,
            )
        case _:
            assert_never(keys)


def _metric(name: str, keys: MetricKeys, source: Source, settings: Settings) -> MetricCheck:
    return MetricCheck(
        name=name,
        phases=frozenset(keys.phases),
        source=source,
        query=keys.query,
        day=keys.day,
        fails=keys.fails,
        unit=keys.unit,
        threshold=keys.threshold,
        history=keys.history,
        calendar=settings.calendar,
    )
