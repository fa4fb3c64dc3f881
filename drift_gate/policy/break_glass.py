"""The bypass: read before, and apart from, ``drift.toml``, so that nothing broken can stand in its way.

Pure: the environment and the time are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from drift_gate.policy.verdict import BreakGlass

SWITCH, UNTIL = "DRIFT_SKIP_CHECK", "DRIFT_SKIP_CHECK_UNTIL"
#: What stands longer is known, and is acknowledged by name. Such a bypass holds, and is complained about.
LONGEST = timedelta(days=1)
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


class Asked(NamedTuple):
    """The bypass that holds, or None, and what is wrong with the way it was asked for (logged as ERROR)."""

    bypass: BreakGlass | None
    complaints: tuple[str, ...] = ()


def asked_for(skip: bool, reason: str | None, actor: str, environ: Mapping[str, str], now: datetime) -> Asked:
    """Whether this start is bypassed, by the caller (``skip``) or for the whole process.

    ``reason`` may be None: a missing reason is recorded as missing, never refused. An unreadable or
    past process-wide bypass is none, and complained about; one without an end, or with one that is more
    than a day away, holds, and is complained about at each check.
    """
    if skip:
        return Asked(BreakGlass(actor=actor, reason=reason, at=now, until=None, via="--skip-drift-check"))
    switch = environ.get(SWITCH, "").strip().lower()
    if switch in _NO:
        return Asked(None)
    if switch not in _YES:
        return Asked(None, (f"{SWITCH}={environ[SWITCH]!r} is neither true nor false: no bypass",))
    return _process_wide(reason, actor, environ.get(UNTIL, "").strip(), now)


def _process_wide(reason: str | None, actor: str, text: str, now: datetime) -> Asked:
    if not text:
        bypass = BreakGlass(actor=actor, reason=reason, at=now, until=None, via=SWITCH)
        return Asked(bypass, (f"{SWITCH} bypasses the drift gate without an end; set {UNTIL}",))
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return Asked(None, (f"{UNTIL}={text!r} is no ISO time: no bypass",))
    until = until.replace(tzinfo=until.tzinfo or UTC)
    if until <= now:
        return Asked(None, (f"{UNTIL}={text} is past: no bypass",))
    far = until - now > LONGEST
    complaints = (f"{UNTIL}={text} is more than a day away; a bypass is for one morning",) if far else ()
    return Asked(BreakGlass(actor=actor, reason=reason, at=now, until=until, via=SWITCH), complaints)
