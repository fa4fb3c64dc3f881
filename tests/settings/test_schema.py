"""The JSON Schema of ``drift.toml`` says what ``load`` says, as far as a schema can."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from support.documents import DOCS, ROOT, blocks
from support.heavy import light

from drift_gate.errors import DriftConfigError
from drift_gate.settings import schema
from drift_gate.settings.file import load

SCHEMA = schema.config()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
SHIPPED = sorted([ROOT / "drift.toml", *(ROOT / "examples").glob("drift.*.toml")])
LEDGER, SERVICE = '[defaults]\nlive = "ledger"\n', "[services.worker]\n"
#: Of each type that TOML knows, good and bad; what stands behind a key is refused by both or by none.
VALUES: tuple[object, ...] = (
    *(True, 3, -3, 1.5, -1.5, 10**12, "a", "two words", [], [1], ["a"], {}, {"a": 1}, {"a": "b"}, [{"a": 1}]),
)
HALVES = [[*VALUES[::2]], [*VALUES[1::2]]]
#: What only ``load`` knows, since it takes another key, another table or more than a pattern to tell.
BEYOND = re.compile(
    r"no service|no reason code|names a variable|does not say where the commit stands|no time zone"
    r"|needs (?:live|dockerfile)"
)


def problems(text: str, key: str) -> list[str]:
    """What the schema says of ``key`` in a file."""
    found = VALIDATOR.iter_errors(json.loads(json.dumps(tomllib.loads(text), default=isoformat)))
    return [each.message for each in found if key in each.instance_path]


def isoformat(value: object) -> str:
    """A date or time as an editor hands it to a schema."""
    assert isinstance(value, date | datetime)
    return value.isoformat()


def refusals(text: str, key: str, folder: Path) -> list[str]:
    """What ``load`` says of ``key`` in a file."""
    (folder / "drift.toml").write_text(text)
    try:
        load(folder, {})
    except DriftConfigError as error:
        return [each for each in map(str, error.args) if re.search(rf"\b{key}\b", each)]
    return []


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def file_with(header: str, key: str, value: object) -> str:
    """A file that is right, but for ``key`` in the table ``header``, maybe."""
    line = f"{key} = {toml(value)}\n"
    if header == "[defaults]":
        return (f"{header}\n" if key == "live" else LEDGER) + line + SERVICE
    if header.strip("[]").startswith("services."):
        service = "" if header == "[services.NAME]" else SERVICE
        return LEDGER + service + header.replace("NAME", "worker") + "\n" + line
    return LEDGER + SERVICE + f"{header}\n{line}"


def test_it_is_a_schema() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        *(file.read_text() for file in SHIPPED),
        *(each for each in blocks("toml", *sorted(DOCS.glob("*.md"))) if "[services." in each),
    ],
)
def test_what_is_shipped_and_shown_passes(text: str) -> None:
    parsed = json.loads(json.dumps(tomllib.loads(text), default=isoformat))
    assert [each.message for each in VALIDATOR.iter_errors(parsed)] == []


@pytest.mark.parametrize(
    "file", ["drift.toml", "examples/drift.cloud-run.toml", "examples/drift.strict.toml"]
)
def test_an_editor_finds_it(file: str) -> None:
    first = (ROOT / file).read_text().splitlines()[0]
    assert (ROOT / file).parent.joinpath(first.removeprefix("#:schema ")).is_file()


@pytest.mark.parametrize(
    ("header", "key"), [(table.header, key) for table in schema.tables() for key in table.keys]
)
@pytest.mark.parametrize("values", light(HALVES, HALVES[:1]), ids=["one of each type", "another"])
def test_a_value_is_refused_by_both_or_by_none(
    header: str, key: str, values: list[object], tmp_path: Path
) -> None:
    wrong = 0
    for value in values:
        text = file_with(header, key, value)
        refused, invalid = refusals(text, key, tmp_path), problems(text, key)
        wrong += bool(invalid)
        if refused and BEYOND.search(refused[0]):
            continue
        assert bool(refused) == bool(invalid), (value, refused, invalid)
    assert wrong


@pytest.mark.parametrize("name", ["defaults", "policy", "services.worker", "batch", "journal"])
def test_an_unknown_key_is_refused_in_every_table(name: str, tmp_path: Path) -> None:
    text = f"{SERVICE if 'worker' not in name else ''}[{name}]\nhistroy = 1\n"
    found = [each.message for each in VALIDATOR.iter_errors(tomllib.loads(text))]
    assert found == ["Additional properties are not allowed ('histroy' was unexpected)"]
    assert any("unknown key" in each for each in refusals(text, "histroy", tmp_path))


@pytest.mark.parametrize("name", [*SCHEMA["properties"], "polciy"])
def test_a_table_is_known_to_both_or_to_none(name: str, tmp_path: Path) -> None:
    (said,) = refusals(f"{name} = 1\n" + (SERVICE if name != "services" else ""), name, tmp_path)[:1]
    assert ("unknown key" in said) == (name not in SCHEMA["properties"])
    assert name == "polciy" or "must be a" in said


@pytest.mark.parametrize(
    "text",
    [
        LEDGER,
        "[services]\n",
        "[services.Worker]\n",
        '[[acknowledged]]\nservice = "worker"\n' + SERVICE,
        LEDGER + '[services.worker]\nfailure_policy = {default = "maybe"}\n',
        LEDGER + '[services.worker]\nreasons = {unknown-drift = "warn"}\n',
        LEDGER + '[services.worker]\nreasons = {no-such-code = "warn"}\n',
        LEDGER + '[services.worker]\ndeadline = "soon"\n',
        LEDGER + '[services.worker]\nenforce_from = "tomorrow"\n',
    ],
)
def test_what_is_wrong_beside_a_type_is_refused_by_both(text: str, tmp_path: Path) -> None:
    assert not VALIDATOR.is_valid(tomllib.loads(text))
    (tmp_path / "drift.toml").write_text(text)
    with pytest.raises(DriftConfigError):
        load(tmp_path, {})


def test_a_date_is_a_text_to_it() -> None:
    parsed = tomllib.loads(f"[policy]\nenforce_from = 2026-12-07\n{SERVICE}")
    as_text: Any = json.loads(json.dumps(parsed, default=isoformat))
    assert VALIDATOR.is_valid(as_text)


def test_every_key_says_what_it_means() -> None:
    """Also in a service's table, where the shared keys may stand."""
    for name, one in SCHEMA["$defs"].items():
        for key, said in one["properties"].items():
            assert said["description"], (name, key)
