"""What a value in a file of settings has to be, in the file's own words, and what is wrong with one. Pure.

The words come from the JSON Schema of the key's type: its ``title`` says what is wanted, its ``examples``
how that is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from drift_gate.runtime.spelling import near_misses

#: What a JSON Schema calls each type, for people, with an example.
_TYPES = {
    "string": ("a text", None),
    "integer": ("a whole number", 3),
    "number": ("a number", 1.5),
    "boolean": ("true or false", None),
}
_BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "too_short": ("min_length", "with at least {} in it"),
    "too_long": ("max_length", "with at most {} in it"),
}


class PlainSchema(GenerateJsonSchema):
    """JSON Schema without titles made up from names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title that is there says what is wanted."""
        return False


class TomlSchema(PlainSchema):
    """JSON Schema of what may stand in a TOML file: without null, too."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """What is wanted where something is written; TOML has no null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """As ever, except for a default that cannot be written."""
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if key != "default" or value is not None}


def mistakes(error: ValidationError, model: type[BaseModel]) -> dict[tuple[str | int, ...], str]:
    """What is wrong with the values of a ``model``, by the keys that lead to each: a sentence's end."""
    found: dict[tuple[str | int, ...], str] = {}
    for each in sorted(error.errors(), key=lambda one: one["type"] != "value_error"):
        path, owner = _place(each["loc"], model)
        found.setdefault(path, _complaint(each, path, owner))
    return found


def wanted(model: type[BaseModel], key: str) -> str:
    """What the value of ``key`` has to be, with an example."""
    return _words(_schema(model)["properties"][key])


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(schema_generator=TomlSchema)


def _place(loc: Sequence[str | int], model: type[BaseModel]) -> tuple[tuple[str | int, ...], type[BaseModel]]:
    """The part of ``loc`` that a file shows, and the model which the last key of it stands in."""
    path: tuple[str | int, ...] = tuple(loc[:1])
    inner = _table(model, loc[0]) if loc else None
    if inner is None or len(loc) < 2:
        return path, model
    below, owner = _place(loc[2:], inner)
    return (*path, int(loc[1]) + 1, *below), owner


def _table(model: type[BaseModel], key: str | int) -> type[BaseModel] | None:
    """The model of each of a list of tables; None: the key is no such list."""
    field = model.model_fields.get(str(key))
    types = [each for each in get_args(field.annotation) if isinstance(each, type)] if field else []
    return next((each for each in types if issubclass(each, BaseModel)), None)


def _complaint(error: ErrorDetails, path: tuple[str | int, ...], model: type[BaseModel]) -> str:
    kind, key = error["type"], str(path[-1]) if path else ""
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown key{near_misses(key, model.model_fields)}"
    words = wanted(model, key) if key in _schema(model)["properties"] else "a table"
    if kind == "missing":
        return f"is missing; it is {words}"
    if kind in _BOUNDS:
        name, bound = _BOUNDS[kind]
        return f"must be {words}, {bound.format(_number(error['ctx'][name]))}"
    if kind == "finite_number":
        return f"must be {words}, and finite"
    return f"must be {words}{_slip(error)}"


def _number(value: float) -> str:
    return f"{value:g}" if value < 1e9 else f"{value:.0f}"


def _slip(error: ErrorDetails) -> str:
    """The choice that a wrong word may have meant."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return ""
    choices = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
    return near_misses(error["input"], choices)


def _words(schema: Mapping[str, Any]) -> str:
    if "title" in schema:
        return str(schema["title"]) + _such_as(schema.get("examples", ()))
    if "enum" in schema or "const" in schema:
        return _either(map(_toml, schema.get("enum") or [schema["const"]]))
    if "anyOf" in schema:
        # Where one text is a list of one, the list is what there is to say.
        listed = [each["items"] for each in schema["anyOf"] if each.get("type") == "array"]
        rest = [each for each in schema["anyOf"] if each not in listed]
        return _either(dict.fromkeys(_words(each) for each in rest))
    if "$ref" in schema:
        return "a table"
    if schema.get("type") == "array":
        return _list(schema.get("items", {}))
    words, example = _TYPES.get(schema.get("type", ""), ("a table", None))
    given = [each for each in (schema.get("default"), example) if each not in (None, "")]
    return words + _such_as(schema.get("examples", given[:1]))


def _list(items: Mapping[str, Any]) -> str:
    if "enum" in items:
        return f"a list of {_either(map(_toml, items['enum']))}, such as {_toml(items['enum'][:1])}"
    if items.get("type") == "string" and "title" not in items:
        return 'a list of texts such as ["a", "b"]'
    if "examples" in items:
        return f"a list such as {_toml(items['examples'][:1])}, each {items['title']}"
    return f"a list, each {_words(items)}"


def _either(words: Iterator[str] | Mapping[str, None]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _such_as(examples: Sequence[object]) -> str:
    return f" such as {_toml(examples[0])}" if examples else ""


def _toml(value: object) -> str:
    """``value`` as it would stand in the file."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
