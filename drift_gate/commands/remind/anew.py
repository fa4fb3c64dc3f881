"""The long way: asks the gate itself, and says by what the next reminders can tell without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from drift_gate.commands.remind.remembered import Known, Remembered, Service
from drift_gate.comparison.report import DriftReport, is_affected
from drift_gate.errors import DriftGateError
from drift_gate.presentation.remedies import deploy_template
from drift_gate.settings.file import Settings, load
from drift_gate.settings.stores import firestore
from drift_gate.wiring import answers, deliveries
from drift_gate.wiring.journals import OFF

_MOST_NAMED = 2


class Found(NamedTuple):
    """A service as the gate found it: what it lacks as ``text.Missing`` has it, or why that is ``unknown``.

    ``known``: by what the next reminder can tell; None: by nothing.
    """

    affected: bool
    commits: Sequence[tuple[str, str]]
    number: int
    unknown: str | None
    known: Known | None


class Anew:
    """The settings, read for the services whose repository is the one at ``root``."""

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        """Raises ``DriftConfigError``."""
        self._settings = load(environ=environ)
        self._root = Path(root).resolve()

    def remembered(self, key: str) -> Remembered:
        """What the settings say."""
        store = self._settings.journal.store
        beside = None if store == OFF or firestore(store) else str(self._settings.beside(store).absolute())
        services = {
            name: Service(one.target_ref, deploy_template(name, self._settings))
            for name, one in self._settings.services.items()
            if self._is_here(name, self._settings)
        }
        return Remembered(key, beside, services)

    def found(self, base: str, head: str, names: Sequence[str]) -> dict[str, Found]:
        """What each of the services ``names`` lacks of ``head`` if it has ``base``.

        Raises ``DriftGateError``.
        """
        reports = deliveries.affected(base, head, names, settings=self._settings).reports
        told = [name for name, report in reports.items() if report.unknown is None]
        known = self._known(base, head, told)
        return {name: _found(report, known.get(name)) for name, report in reports.items()}

    def _known(self, base: str, head: str, names: Sequence[str]) -> dict[str, Known]:
        try:
            watched = deliveries.watched(base, head, names, settings=self._settings) if names else {}
        except DriftGateError:  # the answer is there; only the next one takes as long
            return {}
        return {
            name: Known(head, base, each.net, each.sure, each.counts, each.read, each.verbatim)
            for name, each in watched.items()
            if each is not None
        }

    def _is_here(self, name: str, settings: Settings) -> bool:
        try:
            return answers.here(name, settings)[0] == self._root
        except DriftGateError:
            return False


def _found(report: DriftReport, known: Known | None) -> Found:
    unknown = report.unknown.message if report.unknown else None
    commits = [(each.sha, each.subject) for each in report.undeployed[:_MOST_NAMED]]
    return Found(is_affected(report), commits, report.commits_behind or 0, unknown, known)
