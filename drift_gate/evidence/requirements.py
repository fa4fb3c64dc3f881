"""What a service declares about its live revisions beside the code: variables, and pins. Pure."""

from __future__ import annotations

import hashlib
import json
import posixpath
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, model_validator

from drift_gate.facts import Fact, Finding, Live, LiveRevision

#: A name as the platform takes it: anything but an equals sign, and no white space, which is a slip.
VariableName = Annotated[
    str, Field(pattern=r"^[^\s=\x00]+$", title="a name without spaces and '='", examples=["ODDS_URL"])
]
#: Characters of a value that a message shows.
_SHOWN = 100

_PARSERS: Mapping[str, Callable[[str], Any]] = {".json": json.loads, ".toml": tomllib.loads}


class Pin(Fact):
    """One of ``[[services.NAME.pins]]``: a variable or label of the live revision must have a value.

    One of ``env`` and ``label`` names it. One of ``equals`` and ``file`` says the value: a text, or a file of
    the target commit's tree. ``models/manifest.json#production.path`` is what a JSON or TOML file holds
    under these keys (a number picks from a list); without ``#`` it is the file's whole text, trimmed.
    """

    env: VariableName | None = None
    label: VariableName | None = None
    equals: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Pin:
        if (self.env is None) == (self.label is None):
            raise ValueError('a pin names either a variable, env = "…", or a label, label = "…"')
        if (self.equals is None) == (self.file is None):
            raise ValueError('a pin has either a value, equals = "…", or a file, file = "path#key.key"')
        if self.file is not None:
            path, sharp, keys = self.file.partition("#")
            if not path or posixpath.normpath(path) != path or path.startswith(("/", "..")):
                raise ValueError(f"{path!r} is no path inside the repository")
            if sharp and (not keys or posixpath.splitext(path)[1] not in _PARSERS):
                raise ValueError(f"{self.file!r}: keys need a .json or .toml file, as in a.json#one.two")
        return self

    @property
    def path(self) -> str | None:
        """The file of the target's tree that says the value; None: the value is declared."""
        return None if self.file is None else self.file.partition("#")[0]

    @property
    def subject(self) -> str:
        """What has to have the value, for people."""
        return f"the variable {self.env}" if self.env is not None else f"the label {self.label}"

    def expected(self, texts: Mapping[str, str]) -> str:
        """The value that is due. ``texts`` are the target's files by path.

        Raises ``ValueError`` with the reason where the file does not say one.
        """
        if self.file is None:
            return str(self.equals)
        path, sharp, keys = self.file.partition("#")
        if path not in texts:
            raise ValueError(f"the target has no {path} that can be read")
        if not sharp:
            return texts[path].strip()
        try:
            value = _PARSERS[posixpath.splitext(path)[1]](texts[path])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} at the target cannot be parsed: {error}") from error
        return _scalar(_below(value, keys, path), f"{path}#{keys}")


@dataclass(frozen=True, slots=True)
class Due:
    """A pin with the value that is due, or (``problem``) why nobody can say which."""

    pin: Pin
    value: str = ""
    problem: str | None = None

    @classmethod
    def of(cls, pin: Pin, texts: Mapping[str, str]) -> Due:
        """``pin`` with the target's files by path."""
        try:
            return cls(pin, pin.expected(texts))
        except ValueError as error:
            return cls(pin, problem=str(error))


def with_required(live: Live, required_env: Collection[str]) -> Live:
    """``live`` with a finding for each live revision that lacks a variable of ``required_env``.

    A revision that could not be read has no finding: that it is unknown says more.
    """
    return replace(live, findings=(*live.findings, *_missing(live, required_env)))


def with_pins(live: Live, due: Iterable[Due]) -> Live:
    """``live`` with a finding for each live revision and pin that disagree, or cannot be compared."""
    found = [_compared(each, one) for one in due for each in live.revisions if each.unknown is None]
    return replace(live, findings=(*live.findings, *filter(None, found)))


def _missing(live: Live, required: Collection[str]) -> Iterator[Finding]:
    for each in live.revisions:
        missing = [name for name in dict.fromkeys(required) if name not in each.env_names]
        if missing and each.unknown is None:
            yield Finding(
                code="required-env-missing",
                message=f"{_where(each)}the live revision has no value for {', '.join(missing)}",
                data={"missing": missing, "revision": each.revision},
            )


def _compared(revision: LiveRevision, due: Due) -> Finding | None:
    pin = due.pin
    held = revision.env.get(pin.env) if pin.env is not None else revision.labels.get(str(pin.label))
    if due.problem is None and held == due.value:
        return None
    found = _found(pin, held, revision)
    if due.problem is not None:
        says = f"nobody can say what {pin.subject} has to be: {due.problem}"
    elif held is None and pin.env in revision.env_names:
        says = f"{found}, which cannot be compared with {_quoted(due.value)}"
    else:
        source = f", as {pin.file} says at the target" if pin.file else ""
        says = f"{found} and has to be {_quoted(due.value)}{source}"
    return Finding(
        code="pin-mismatch",
        message=_where(revision) + says,
        data={"pin": pin.env or pin.label, "found": found, "file": pin.file, "revision": revision.revision},
    )


def _found(pin: Pin, held: str | None, revision: LiveRevision) -> str:
    if held is None and pin.env in revision.env_names:
        return f"{pin.subject} comes out of a secret"
    return f"{pin.subject} is {'not set' if held is None else _quoted(held)}" + _rest(held)


def _rest(held: str | None) -> str:
    """What tells a value that is cut short from others that begin alike."""
    if held is None or len(held) <= _SHOWN:
        return ""
    return f" ({hashlib.sha256(held.encode('utf-8', 'backslashreplace')).hexdigest()[:12]})"


def _where(revision: LiveRevision) -> str:
    return f"{revision.called}: " if revision.called else ""


def _quoted(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…")


def _below(value: Any, keys: str, path: str) -> Any:
    for key in keys.split("."):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            raise ValueError(f"{path} at the target has no {keys}: there is no {key!r}")
    return value


def _scalar(value: Any, where: str) -> str:
    """A text, or a number or boolean as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError(f"{where} at the target is no text, number or boolean")
