"""What a person wrote, as a value: points in time, addresses and lists of one. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from drift_gate.runtime.spelling import near_misses

_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*://\S+|[\w.-]+@[\w.-]+:(?!/?/)\S+")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


def is_address(repository: str) -> bool:
    """Whether ``repository`` is the address of a remote (a URL, or ``user@host:path``) and no path."""
    return _ADDRESS.fullmatch(repository) is not None


def moment(value: object) -> datetime:
    """A point in time with its zone, as ``local_moment`` reads it; without a zone it is UTC."""
    written = local_moment(value)
    return written if written.tzinfo else written.replace(tzinfo=UTC)


def local_moment(value: object) -> datetime:
    """A point in time out of a TOML date or time, or ISO text, with the zone that it names, or none.

    A date alone is its first moment. Raises ``ValueError``.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ValueError(f"{value!r} is no ISO date or time, such as 2026-12-07") from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("a point in time is a date or a time, such as 2026-12-07 or 2026-12-07T09:00:00Z")
    return value


_MomentText = Annotated[str, Field(pattern=r"^\s*[0-9]{4}-?([0-9]{2}|W)")]
_MOMENT_WORDS = Field(title="a date or time", examples=["2026-12-07"])
#: A date or time, as ``moment`` reads it.
Moment = Annotated[datetime, BeforeValidator(moment, json_schema_input_type=_MomentText), _MOMENT_WORDS]
#: The same, without a zone where none is written.
LocalMoment = Annotated[
    datetime, BeforeValidator(local_moment, json_schema_input_type=_MomentText), _MOMENT_WORDS
]


def clock_time(text: str) -> timedelta:
    """``08:00`` as the time since midnight; the last one is ``24:00``. Raises ``ValueError``."""
    shown = _CLOCK.fullmatch(text.strip())
    if not shown:
        raise ValueError(f"{text!r} is no time of day such as 08:00, up to 24:00")
    return timedelta(hours=int(shown[1]), minutes=int(shown[2])) if shown[1] else timedelta(days=1)


def time_zone(name: str) -> ZoneInfo:
    """The time zone ``name`` of the IANA database. Raises ``ValueError``."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # a folder of the database is an OSError
        hint = near_misses(name, available_timezones())
        raise ValueError(f"no time zone {name!r}{hint}; write one such as America/Los_Angeles") from error


class OneOrMore:
    """For a list of texts in a file of settings: one text where it is wanted is a list of one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        listed = handler(schema)
        return {"anyOf": [listed, listed["items"]]}


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], OneOrMore()]
