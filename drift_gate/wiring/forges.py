"""Settings into the pages of the forges that keep the services' repositories."""

from __future__ import annotations

from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import Settings
from drift_gate.wiring.deliveries import forge_of


def forges(settings: Settings) -> dict[str, Forge]:
    """The forge of each declared service, where one is known; each repository is asked once."""
    asked: dict[tuple[str, str, bool], Forge | None] = {}
    found = {}
    for name, one in settings.services.items():
        key = (one.repository, one.target_ref, one.mirrored)
        if key not in asked:
            asked[key] = forge_of(one, settings)
        if forge := asked[key]:
            found[name] = forge
    return found
