"""The tables of ``drift.toml`` and their JSON Schema (draft 2020-12), as the models have them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field, create_model

from drift_gate.facts import Fact
from drift_gate.runtime.value_words import TomlSchema
from drift_gate.settings.deploy_keys import DeployKeys
from drift_gate.settings.file import Settings, tables_below
from drift_gate.settings.keys import Defaults, PolicyKeys, ServiceSettings
from drift_gate.settings.location import FILE_NAME, SERVICE_NAME
from drift_gate.settings.meanings import MEANINGS

#: The tables of what may stand in a service's own as well.
_SHARED: Mapping[str, type[Fact]] = {"defaults": Defaults, "policy": PolicyKeys, "deploy": DeployKeys}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Table(NamedTuple):
    """A table of the file: its header, its model, and the keys that the reference lists there."""

    header: str
    model: type[Fact]
    keys: tuple[str, ...]


def tables() -> Iterator[Table]:
    """Every table, each once. A service's own lacks the keys that it shares with the three before it."""
    yield Table("[defaults]", Defaults, tuple(Defaults.model_fields))
    yield Table("[policy]", PolicyKeys, tuple(PolicyKeys.model_fields))
    yield Table("[deploy]", DeployKeys, tuple(DeployKeys.model_fields))
    shared = {key for model in _SHARED.values() for key in model.model_fields}
    own = tuple(key for key in ServiceSettings.model_fields if key not in shared)
    yield Table("[services.NAME]", ServiceSettings, own)
    yield from _below("services.NAME.", ServiceSettings)
    yield from _below("", Settings)


def _below(prefix: str, model: type[Fact]) -> Iterator[Table]:
    """The tables, and the lists of tables, that stand below ``model``."""
    for key, (inner, listed) in tables_below(model).items():
        header = f"[[{prefix}{key}]]" if listed else f"[{prefix}{key}]"
        yield Table(header, inner, tuple(inner.model_fields))
        yield from _below(f"{prefix}{key}.", inner)


def config() -> dict[str, Any]:
    """The schema of ``drift.toml``: each key with its type and its meaning; dates are texts to it."""
    found = _file().model_json_schema(schema_generator=TomlSchema)
    for table in tables():
        described = found["$defs"][table.model.__name__]
        described["title"] = table.header
        for key in table.keys:
            described["properties"][key]["description"] = MEANINGS[table.header][key]
    services = found["$defs"][ServiceSettings.__name__]["properties"]
    for model in _SHARED.values():
        services |= found["$defs"][model.__name__]["properties"]
    found["properties"]["services"]["additionalProperties"] = False
    return {"$schema": DIALECT, **found, "title": FILE_NAME}


def _file() -> type[Fact]:
    """What stands in the file: the tables of the settings, and those that all services share."""
    named = Annotated[str, Field(pattern=f"^{SERVICE_NAME}$")]
    fields: dict[str, Any] = {
        **{name: (model, None) for name, model in _SHARED.items()},
        "services": (Annotated[Mapping[named, ServiceSettings], Field(min_length=1)], ...),
    }
    for key in tables_below(Settings):
        fields[key] = (Settings.model_fields[key].annotation, None)
    return create_model("File", __base__=Fact, __doc__="The settings of the drift gate.", **fields)


def text(schema: Mapping[str, Any]) -> str:
    """A schema as a file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
