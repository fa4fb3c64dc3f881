"""What gcloud is set to, without gcloud: its variables, and the files of the active configuration."""

from __future__ import annotations

from pathlib import Path

from drift_gate.settings.proposal import gcloud
from drift_gate.settings.proposal.gcloud import Gcloud, Told


def configured(files: dict[str, str], **environ: str) -> Gcloud:
    """With these files in the folder of a user's settings."""
    folder = Path("/home/ada/.config/gcloud")
    return gcloud.configured(
        {"HOME": "/home/ada", **environ}, {folder / at: text for at, text in files.items()}.get
    )


def test_the_active_configuration() -> None:
    files = {
        "active_config": "work\n",
        "configurations/config_work": "[core]\nproject = p-1\naccount = ada@example.com\n"
        "[run]\nregion = us-west2\n",
        "configurations/config_default": "[core]\nproject = other\n",
    }
    by = "gcloud's configuration work"
    assert configured(files) == (Told("p-1", by), Told("us-west2", by), Told("ada@example.com", by))
    assert configured(files, CLOUDSDK_ACTIVE_CONFIG_NAME="default").project == (
        "other",
        "gcloud's configuration default",
    )


def test_variables_stand_nearer() -> None:
    files = {"configurations/config_default": "[core]\nproject = p-1\n[compute]\nregion = europe-west1\n"}
    found = configured(files, CLOUDSDK_CORE_PROJECT="p-2")
    assert found.project == ("p-2", "CLOUDSDK_CORE_PROJECT")
    assert found.region == ("europe-west1", "gcloud's configuration default"), "the one of Compute Engine"


def test_another_folder() -> None:
    text = {Path("/ci/configurations/config_default"): "[core]\nproject = p-3\n"}
    found = gcloud.configured({"CLOUDSDK_CONFIG": "/ci"}, text.get)
    assert found.project is not None
    assert found.project.value == "p-3"


def test_nothing_and_nonsense() -> None:
    """A file that is no configuration sets nothing, and neither does a machine without a home."""
    assert configured({"configurations/config_default": "no section\n"}) == (None, None, None)
    assert gcloud.configured({}, lambda _: None) == (None, None, None)
