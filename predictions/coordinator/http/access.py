"""Who may do what over HTTP: the environment into settings, and decisions over values. Pure.

The settings come from the environment and never from ``drift.toml``: a commit to the repository that
the gate reads must not widen who may bypass it, and a broken file must not lock out who may.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args
from urllib.parse import urlsplit

from predictions.coordinator.exceptions import (
    BypassForbiddenError,
    ConfigError,
    ForbiddenError,
    UnauthenticatedError,
)
from predictions.coordinator.variables import (
    API_KEY,
    AUDIENCE,
    BYPASS_ACCESS,
    BYPASS_CALLERS,
    BYPASS_KEY,
    CALLERS,
    CERTS_URL,
    MODE,
    PUSH_CALLERS,
    VARIABLES,
)

Mode = Literal["platform", "id-token", "api-key", "open"]
#: ``read`` looks, ``start`` starts and cancels, ``bypass`` starts past a refusal, ``complete`` delivers
#: results.
Permission = Literal["read", "start", "bypass", "complete"]

#: Google's certificates for the ID tokens that it signs, as X.509 by key id.
GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v1/certs"
#: The shortest key that is taken: 16 characters of base64 are 96 bits, beyond guessing over a network.
SHORTEST_KEY = 16

#: The variables that each mode reads beside its own name; any other one of these contradicts it.
_READ_BY: Mapping[Mode, frozenset[str]] = {
    "platform": frozenset({CALLERS, BYPASS_CALLERS, BYPASS_ACCESS, PUSH_CALLERS}),
    "id-token": frozenset({AUDIENCE, CALLERS, BYPASS_CALLERS, PUSH_CALLERS, CERTS_URL}),
    "api-key": frozenset({API_KEY, BYPASS_KEY, AUDIENCE, PUSH_CALLERS, CERTS_URL}),
    "open": frozenset(),
}
_NEEDED: Mapping[Mode, frozenset[str]] = {
    "platform": frozenset(),
    "id-token": frozenset({AUDIENCE, CALLERS}),
    "api-key": frozenset({API_KEY}),
    "open": frozenset(),
}
#: What a second token for a bypass needs, or may have, where the platform checks the first one.
_SECOND_NEEDS = frozenset({AUDIENCE, BYPASS_CALLERS})
_SECOND_READS = _SECOND_NEEDS | {CERTS_URL}
#: The header of that token: Cloud Run checks the others itself, or passes them on unchecked.
BYPASS_HEADER = "X-Bypass-Authorization"
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+")

_START: frozenset[Permission] = frozenset({"read", "start"})
_BYPASS: frozenset[Permission] = frozenset({"read", "start", "bypass"})
_COMPLETE: frozenset[Permission] = frozenset({"complete"})
_NOTHING: frozenset[Permission] = frozenset()
_NOTHING_MORE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is asked for what.

    ``mode``: ``platform`` (Cloud Run's IAM has checked the caller before we hear of it), ``id-token``
    (we verify Google's ID tokens), ``api-key``, or ``open`` (a loopback address without settings).
    ``callers``, ``bypass_callers`` and ``push_callers`` are e-mail addresses in lower case; in
    ``platform`` no ``callers`` means everybody whom IAM lets through, and no ``push_callers`` that these
    deliver results too. ``bypass_callers`` may all that callers may; with ``bypass_by_token`` only who
    proves that by a second token, which is verified here. Keys are in no ``repr``.
    """

    mode: Mode
    audiences: tuple[str, ...] = ()
    callers: frozenset[str] = frozenset()
    bypass_callers: frozenset[str] = frozenset()
    push_callers: frozenset[str] = frozenset()
    bypass_by_token: bool = False
    api_key: str | None = field(default=None, repr=False)
    bypass_key: str | None = field(default=None, repr=False)
    certs_url: str = GOOGLE_CERTS

    @property
    def verifies_tokens(self) -> bool:
        """Whether ID tokens are verified here."""
        return bool(self.audiences)

    @property
    def bypass_possible(self) -> bool:
        """Whether anybody has the permission to start past a check."""
        return self.mode == "open" or bool(self.bypass_callers) or self.bypass_key is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody, and what they may. ``actor`` is who the log names; it holds no secret.

    ``bypass_by``: what would give them the permission to bypass.
    """

    actor: str
    may: frozenset[Permission]
    bypass_by: str = f"{BYPASS_CALLERS} or the bypass key"

    def require(self, permission: Permission) -> None:
        """Raises ``BypassForbiddenError`` or ``ForbiddenError`` where ``permission`` is not given."""
        if permission in self.may:
            return
        if permission == "bypass":
            raise BypassForbiddenError(f"{self.actor} may not bypass a check: {self.bypass_by} gives that")
        raise ForbiddenError(f"{self.actor} may not {permission} here")


#: Whoever asks for what is public: nobody looks who that is.
ANYBODY = Caller(actor="anybody", may=frozenset({"read"}))


def read(environ: Mapping[str, str], host: str) -> Access:
    """The settings in ``environ`` for a server that listens on ``host``.

    Raises ``ConfigError`` for a mode that does not exist, lacks what it needs or is contradicted by
    a variable that it does not read, and where none is set though others than this machine can connect.
    """
    given = {name: environ[name].strip() for name in VARIABLES if environ.get(name, "").strip()}
    mode = _mode(given.pop(MODE, None), host)
    second = _second(given)
    for name in sorted(given.keys() - _READ_BY[mode] - (_SECOND_READS if second else _NOTHING_MORE)):
        where = f"{MODE}={mode}" if mode != "open" else f"no {MODE}"
        raise ConfigError(f"environment {name} is set, and {where} does not read it; remove one of them")
    for name in sorted(_NEEDED[mode] - given.keys()):
        raise ConfigError(f"environment {name} is not set, and {MODE}={mode} needs it")
    if mode == "api-key" and (AUDIENCE in given) != (PUSH_CALLERS in given):
        raise ConfigError(f"environment {AUDIENCE} and {PUSH_CALLERS} belong together: set both or none")
    access = Access(
        mode=mode,
        audiences=tuple(_list(given.get(AUDIENCE, ""))),
        callers=_emails(CALLERS, given),
        bypass_callers=_emails(BYPASS_CALLERS, given),
        push_callers=_emails(PUSH_CALLERS, given),
        bypass_by_token=second,
        api_key=_key(API_KEY, given),
        bypass_key=_key(BYPASS_KEY, given),
        certs_url=_certs_url(given.get(CERTS_URL, GOOGLE_CERTS)),
    )
    _disjoint(access)
    return access


def by_email(access: Access, email: str) -> Caller:
    """The caller whose e-mail address was verified, by us or by the platform."""
    known = email.lower()
    everybody = access.mode == "platform" and not access.callers
    if known in access.push_callers:
        may = _COMPLETE
    elif known in access.bypass_callers:
        may = _BYPASS
    elif known in access.callers or everybody:
        may = _START
    else:
        may = _NOTHING
    if access.mode == "platform" and not access.push_callers and may:
        may |= _COMPLETE
    return Caller(actor=email, may=may)


def proven(access: Access, caller: Caller, email: str | None) -> Caller:
    """``caller`` where a bypass takes a second token; ``email``: the address in theirs, None: they sent none.

    The address that the platform told gives no bypass then, and the one that was verified here gives it.
    """
    if email is not None and email.lower() in access.bypass_callers:
        return Caller(actor=email, may=caller.may | {"bypass"})
    return replace(caller, may=caller.may - {"bypass"}, bypass_by=f"an ID token in {BYPASS_HEADER}")


def unnamed(access: Access) -> Caller:
    """A request that names nobody.

    Raises ``UnauthenticatedError`` where that is not enough: only an ``open`` server takes it, and a
    ``platform`` one where no list of callers is set.
    """
    if access.mode == "open":
        return Caller(actor="a local caller", may=_BYPASS | _COMPLETE)
    if access.mode == "platform" and not access.callers:
        push = _NOTHING if access.push_callers else _COMPLETE
        return Caller(actor="a caller that the platform let through", may=_START | push)
    raise UnauthenticatedError(_UNNAMED[access.mode])


_UNNAMED: Mapping[Mode, str] = {
    "platform": "the platform passed on no ID token with an e-mail address, and the callers are listed",
    "id-token": "send an ID token of Google: Authorization: Bearer TOKEN",
    "api-key": "send the key: X-API-Key: KEY",
    "open": "",
}


def by_key(access: Access, key: str) -> Caller:
    """The caller who sent ``key``; raises ``UnauthenticatedError`` where it is none of ours.

    Both keys are compared, each in constant time, so that how long it takes tells nothing.
    """
    start = _same(key, access.api_key)
    bypass = _same(key, access.bypass_key)
    if bypass:
        return Caller(actor="the holder of the bypass key", may=_BYPASS | _COMPLETE)
    if start:
        return Caller(actor="the holder of the API key", may=_START | _COMPLETE)
    raise UnauthenticatedError("the key in X-API-Key is none of this coordinator's")


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address) can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _mode(text: str | None, host: str) -> Mode:
    if text is None:
        if is_loopback(host):
            return "open"
        raise ConfigError(
            f"{host} can be reached from outside and {MODE} is not set: set it to platform, id-token or "
            "api-key, or listen on 127.0.0.1"
        )
    for mode in get_args(Mode):
        if text == mode != "open":
            found: Mode = mode
            return found
    raise ConfigError(f"environment {MODE}={text!r}: give platform, id-token or api-key")


def _second(given: Mapping[str, str]) -> bool:
    """Whether a bypass takes a second token."""
    if BYPASS_ACCESS not in given:
        return False
    if given[BYPASS_ACCESS] != "id-token":
        raise ConfigError(f"environment {BYPASS_ACCESS}={given[BYPASS_ACCESS]!r}: give id-token, or nothing")
    for name in sorted(_SECOND_NEEDS - given.keys()):
        raise ConfigError(f"environment {name} is not set, and {BYPASS_ACCESS}=id-token needs it")
    return True


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _emails(name: str, given: Mapping[str, str]) -> frozenset[str]:
    emails = _list(given.get(name, ""))
    for email in emails:
        if not _EMAIL.fullmatch(email):
            raise ConfigError(f"environment {name}: {email!r} is no e-mail address")
    return frozenset(email.lower() for email in emails)


def _key(name: str, given: Mapping[str, str]) -> str | None:
    key = given.get(name)
    if key is not None and (len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable()):
        raise ConfigError(f"environment {name}: give {SHORTEST_KEY} or more printable ASCII characters")
    return key


def _certs_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return url
    raise ConfigError(f"environment {CERTS_URL}: {url!r} is no https address")


def _disjoint(access: Access) -> None:
    """A second permission that everybody with the first one has would be none of its own."""
    if access.api_key is not None and access.api_key == access.bypass_key:
        raise ConfigError(f"environment {BYPASS_KEY} is the same as {API_KEY}: the bypass needs its own")
    for name, others in ((CALLERS, access.callers), (BYPASS_CALLERS, access.bypass_callers)):
        for email in sorted(access.push_callers & others):
            raise ConfigError(
                f"environment {PUSH_CALLERS}: {email} is in {name} too; who delivers results starts no batch"
            )


def _same(given: str, key: str | None) -> bool:
    return key is not None and hmac.compare_digest(given.encode(), key.encode())
