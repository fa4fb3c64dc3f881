"""The forges that keep the services' repositories, as far as the settings of the gate and of git say."""

from __future__ import annotations

from pathlib import Path

from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import load
from drift_gate.testing.history import HistoryBuilder
from drift_gate.wiring.forges import forges


def test_an_address_stands_for_itself_and_a_checkout_says_where_it_came_from(tmp_path: Path) -> None:
    history = HistoryBuilder(tmp_path / "checkout")
    history.git("remote", "add", "origin", "git@github.com:acme/predictions.git")
    history.git("remote", "add", "upstream", "https://gitlab.com/acme/upstream")
    HistoryBuilder(tmp_path / "alone")
    (tmp_path / "drift.toml").write_text(
        """
[defaults]
live = "ledger"
[services.address]
repository = "https://github.com/acme/other"
[services.checkout]
repository = "checkout"
[services.upstream]
repository = "checkout"
target_ref = "upstream/main"
[services.local]
repository = "checkout"
target_ref = "HEAD"
[services.alone]
repository = "alone"
[services.nowhere]
repository = "nowhere"
""",
        encoding="utf-8",
    )
    settings = load(environ={"DRIFT_CONFIG": str(tmp_path / "drift.toml"), "HOME": str(tmp_path)})
    other, acme = "https://github.com/acme/other", "https://github.com/acme/predictions"
    assert forges(settings) == {
        "address": Forge("github", other),
        "checkout": Forge("github", acme),
        "upstream": Forge("gitlab", "https://gitlab.com/acme/upstream"),
        "local": Forge("github", acme),
    }
