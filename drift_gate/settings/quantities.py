"""Durations and counts as a person writes them in a file of settings. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])?")
_UNIT_S = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(value: object) -> object:
    """A duration in seconds: a number, or text such as ``90s``, ``10m``, ``12h``, ``7d``."""
    if isinstance(value, bool):
        raise ValueError("a duration is a number of seconds or text such as '10m'")
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError(f"{value!r} is no duration: write 90, '90s', '10m', '12h' or '7d'")
    return float(match[1]) * _UNIT_S[match[2]]


def _seconds_or_off(value: object) -> object:
    return None if value == "off" else seconds(value)


def whole(value: object) -> object:
    """``value``, unless it is a boolean, which Python takes for a number."""
    if isinstance(value, bool):
        raise ValueError("a count is a whole number, not a boolean")
    return value


#: A hundred years: what is longer is a slip of the pen, and more than the system's own clocks can count.
_LONGEST_S = 3_155_760_000
_Limit = Annotated[float, Field(ge=0, le=_LONGEST_S, allow_inf_nan=False)]
_Span = Annotated[float, Field(gt=0, le=_LONGEST_S, allow_inf_nan=False)]
_DurationText = Annotated[str, Field(pattern=rf"^\s*{_DURATION.pattern}\s*$")]
_DURATION_WORDS = Field(title="a duration", examples=["10m"])
Duration = Annotated[
    _Limit, BeforeValidator(seconds, json_schema_input_type=_Limit | _DurationText), _DURATION_WORDS
]
#: A duration that is not nothing.
PositiveDuration = Annotated[
    _Span, BeforeValidator(seconds, json_schema_input_type=_Span | _DurationText), _DURATION_WORDS
]
DurationOrOff = Annotated[
    _Limit | None,
    BeforeValidator(_seconds_or_off, json_schema_input_type=_Limit | _DurationText | Literal["off"]),
    Field(title='a duration, or "off",', examples=["12h"]),
]
Count = Annotated[int, Field(ge=0), BeforeValidator(whole)]
