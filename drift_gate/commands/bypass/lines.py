"""The lines that set and remove a bypass for every start of a coordinator, until a time; runs none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from drift_gate.errors import DriftConfigError
from drift_gate.policy.break_glass import SWITCH, UNTIL
from drift_gate.policy.verdict import duration
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import ServiceSettings

#: A bypass is for one morning. What stands longer is known, and is acknowledged by name.
MOST_S = 86_400.0
#: What a person puts in; in capitals, so that nobody takes it for a name.
COORDINATOR, PROJECT, REGION = "COORDINATOR", "PROJECT", "REGION"
#: A Cloud Run service's name: nothing in it needs quoting.
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bypass:
    """The service that runs the gate, where it lives (names, or the placeholders), and the end, in UTC.

    ``judged``: whether the gate judges that service, so that it may be the wrong one.
    """

    service: str
    project: str
    region: str
    until: datetime
    judged: bool = False

    @property
    def setting(self) -> str:
        """The line that begins it."""
        return f"{self._gcloud('update')} --update-env-vars={SWITCH}=1,{UNTIL}={self._end}"

    @property
    def removing(self) -> str:
        """The line that ends it before its time, and tidies up after it."""
        return f"{self._gcloud('update')} --remove-env-vars={SWITCH},{UNTIL}"

    def printed(self, seconds: float) -> Iterator[str]:
        """What is printed: two lines to paste, each under its comment."""
        yield f"# begin: until {self._end}, {duration(seconds)} from now, the drift gate refuses no start"
        yield self.setting
        yield "# end, also once the time is over:"
        yield self.removing

    def told(self) -> Iterator[str]:
        """What somebody who pastes them has to know, in sentences."""
        missing = [each for each in (self.service, self.project, self.region) if each.isupper()]
        if missing:
            yield f"put in: {', '.join(missing)}"
        if self.judged:
            yield f"{self.service} is what the gate judges; is it also the service that runs the gate?"
        yield (
            f"each line makes a new revision of {self.service}. Where traffic is pinned by name (a rollback, "
            f"--no-traffic), the new revision gets none and changes nothing; look with: "
            f"{self._gcloud('describe')} --format='value(spec.traffic)'"
        )
        yield (
            f"to free the traffic: {self._gcloud('update-traffic')} --to-latest; the newest revision's image "
            "comes with it, which is what a rollback went back from"
        )
        yield "for a single start, --skip-drift-check is enough, and makes no revision"

    @property
    def _end(self) -> str:
        return self.until.isoformat().replace("+00:00", "Z")

    def _gcloud(self, verb: str) -> str:
        place = f"--project={self.project} --region={self.region}"
        return f"gcloud run services {verb} {self.service} {place}"


def bypass(service: str | None, seconds: float, settings: Settings | None, now: datetime) -> Bypass:
    """The bypass of ``service`` for ``seconds`` from ``now`` (UTC), in whole seconds, never less.

    ``service`` runs the gate; None: a placeholder stands for it. ``settings`` say where it lives: its own
    table, or what all declared services agree on; None, where they cannot be read: placeholders stand for
    it. Raises ``DriftConfigError`` for a name that is none, and for a time that is not from 1 s to a day.
    """
    if service is not None and not _NAME.fullmatch(service):
        raise DriftConfigError(f"{service!r} is no name of a Cloud Run service")
    if not 1 <= seconds <= MOST_S:
        raise DriftConfigError(
            f"--for: a bypass is for 1 s to {duration(MOST_S)}; what stands longer is known: "
            "deployment-drift acknowledge"
        )
    end = (now.astimezone(UTC) + timedelta(seconds=seconds)).replace(microsecond=0) + timedelta(seconds=1)
    return Bypass(
        service=service or COORDINATOR,
        project=_place(service, settings, lambda one: one.project) or PROJECT,
        region=_place(service, settings, lambda one: one.region) or REGION,
        until=end,
        judged=settings is not None and service in settings.services,
    )


def _place(
    service: str | None, settings: Settings | None, of: Callable[[ServiceSettings], str | None]
) -> str | None:
    """Where ``service`` lives, as far as the settings tell without doubt."""
    if settings is None:
        return None
    if service is not None and service in settings.services:
        return of(settings.services[service])
    places = {of(one) for one in settings.services.values()}
    return places.pop() if len(places) == 1 else None
