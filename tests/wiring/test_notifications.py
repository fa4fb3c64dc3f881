"""From ``drift.toml`` to a message: the monitor tells each channel once, and secrets stay where they are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands.test_cli import run
from notify.test_slack import TOKEN, Workspace
from settings.test_settings import MINIMAL, mistake, written
from support.fault_server import FaultServer, silence
from support.limits import ENOUGH_S, OVER_S
from support.world import WORKER, World

from drift_gate.errors import DeploymentDriftError, DriftConfigError
from drift_gate.journal import sink
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.runtime import background
from drift_gate.settings.notify_keys import CHANNELS, NotifyKeys
from drift_gate.wiring import checks, notifications
from shared.utils.deployment_checker import require_current_worker

SECRETS = {
    "DRIFT_SLACK_TOKEN": TOKEN,
    "DRIFT_WEBHOOK_SECRET": "the-secret-of-the-hook",
    "DRIFT_SMTP_PASSWORD": "the-password-of-mail",
    "DRIFT_SLACK_WEBHOOK": "https://hooks.slack.example/services/T0/B0/secret",
}


def table(workspace: Workspace) -> str:
    """Settings of a channel in this workspace."""
    return (
        '[journal]\nstore = "journal.sqlite"\n[notify]\ndigest = "off"\nhold = 0\n'
        f'[notify.slack]\nchannel = "C1"\napi = "{workspace.url}/api"\n'
    )


@pytest.fixture
def told(world: World) -> World:
    """A world whose worker is four commits behind."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    return world


def test_a_monitor_tells_a_drift_once_and_its_end_in_the_same_message(told: World) -> None:
    with Workspace() as workspace:
        told.toml = table(workspace) + told.toml
        for _ in range(2):
            assert run(told, "monitor", "--once", **SECRETS).returncode == 1
        told.cloud.deploy(WORKER, commit=told.change())
        assert run(told, "monitor", "--once", **SECRETS).returncode == 0
    assert [method for method, _ in workspace.calls] == [
        "chat.postMessage",
        "chat.update",
        "chat.postMessage",
    ]
    assert f"{WORKER} is 4 commits behind" in workspace.calls[0][1]["text"]
    assert workspace.calls[1][1]["text"].startswith("Resolved after ")
    rows = SqliteJournal(told.folder / "journal.sqlite").notifications(f"{WORKER}#1")
    assert {(row.key, row.state, row.place) for row in rows} == {
        ("opened", "sent", "C1:17000000.000000"),
        ("resolved", "sent", "C1:17000000.000000"),
    }


def test_a_channel_that_fails_stops_no_other_and_changes_no_exit_code(told: World) -> None:
    with Workspace() as workspace:
        told.toml = table(workspace) + '[notify.webhook]\nurl = "http://127.0.0.1:9/"\n' + told.toml
        found = run(told, "monitor", "--once", **SECRETS)
    assert (found.returncode, len(workspace.messages)) == (1, 1)
    assert "the channel webhook was not told" in found.stderr
    rows = SqliteJournal(told.folder / "journal.sqlite").notifications(f"{WORKER}#1")
    assert {row.channel: row.state for row in rows} == {"slack": "sent", "webhook": "failed"}


def test_a_secret_that_is_missing_is_named_and_the_look_is_kept(told: World) -> None:
    with Workspace() as workspace:
        told.toml = table(workspace) + told.toml
        found = run(told, "monitor", "--once")
    assert found.returncode == 1
    assert "environment DRIFT_SLACK_TOKEN: [notify.slack] with a channel needs it" in found.stderr
    assert len(SqliteJournal(told.folder / "journal.sqlite").looks()) == 1


class TestABatch:
    """One that is refused or started past the gate is told by whoever started it, and by nobody else."""

    @pytest.fixture(autouse=True)
    def ample(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (checks, sink):
            monkeypatch.setattr(module, "WRITE_S", ENOUGH_S)
        monkeypatch.setattr(notifications, "AT_ONCE_S", ENOUGH_S)

    def test_that_is_refused_is_told_at_once_and_once(self, told: World) -> None:
        with Workspace() as workspace:
            told.toml = table(workspace) + told.toml
            told.environ = SECRETS
            for _ in range(2):
                with pytest.raises(DeploymentDriftError):
                    require_current_worker(settings=told.settings())
                background.finish()
            (first,) = workspace.messages.values()
            assert run(told, "monitor", "--once", **SECRETS).returncode == 1
        assert f"was refused: {WORKER}" in first["text"]
        said = [each["text"] for _, each in workspace.calls]
        assert ["was refused" in text for text in said] == [True, False]

    def test_that_went_past_the_gate_is_told_with_who_and_why(self, told: World) -> None:
        with Workspace() as workspace:
            told.toml = table(workspace) + told.toml
            told.environ = SECRETS
            require_current_worker(settings=told.settings(), skip=True, reason="the fix is in", actor="bob")
            background.finish()
        (message,) = workspace.messages.values()
        assert "bob" in str(message)
        assert "the fix is in" in str(message)

    def test_a_channel_that_says_nothing_changes_no_answer(
        self, told: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(notifications, "AT_ONCE_S", OVER_S)
        with FaultServer(silence) as server:
            url = f'[notify.webhook]\nurl = "http://127.0.0.1:{server.port}/"\n'
            told.toml = '[journal]\nstore = "journal.sqlite"\n' + url + told.toml
            told.environ = SECRETS
            with pytest.raises(DeploymentDriftError):
                require_current_worker(settings=told.settings())
            background.finish()
        assert "webhook" in caplog.text


class TestTheTestMessage:
    def test_is_marked_and_kept_nowhere(self, world: World) -> None:
        with Workspace() as workspace:
            world.toml = table(workspace) + world.toml
            found = run(world, "notify", "test", "slack", **SECRETS)
        assert (found.returncode, found.stdout) == (0, "slack: ok\n")
        assert workspace.calls[0][1]["text"].startswith("Test message of the drift gate")
        assert not (world.folder / "journal.sqlite").exists()

    def test_that_does_not_arrive_is_the_exit_code(self, world: World) -> None:
        with Workspace() as workspace:
            world.toml = table(workspace) + world.toml
            workspace.refuse("channel_not_found")
            refused = run(world, "notify", "test", **SECRETS)
            nobody = run(world, "notify", "test", "slak", **SECRETS)
        assert (refused.returncode, "channel_not_found" in refused.stdout) == (1, True)
        assert nobody.returncode == 2
        assert "no table [notify.slak]; did you mean slack?" in nobody.stdout
        # Each is said once, in the line of the channel.
        assert (refused.stderr, nobody.stderr) == ("", "")

    def test_needs_a_channel(self, world: World) -> None:
        found = run(world, "notify", "test")
        assert (found.returncode, "no channel is set" in found.stderr) == (2, True)


def test_the_doctor_looks_at_each_channel_and_sends_nothing(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    with Workspace() as workspace:
        world.toml = table(workspace) + '[notify.webhook]\nurl = "http://127.0.0.1:9/"\n' + world.toml
        fine = run(world, "doctor", DRIFT_SLACK_TOKEN=TOKEN)
        workspace.scopes = ""
        lacking = run(world, "doctor", DRIFT_SLACK_TOKEN=TOKEN)
    assert "slack: drift of Example may write; whether it has joined C1 is not known" in fine.stdout
    assert "export DRIFT_WEBHOOK_SECRET=…" in fine.stdout
    assert "lacks chat:write" in lacking.stdout
    assert {method for method, _ in workspace.calls} == {"auth.test"}


class TestSettings:
    ALL = MINIMAL + (
        '[notify]\nremind = ["1h"]\ntime_zone = "America/Los_Angeles"\nowners = {worker = "U012ABCDEF"}\n'
        '[notify.slack]\n[notify.webhook]\nurl = "https://example.com/"\n'
        '[notify.email]\nhost = "mail"\nuser = "gate"\nsender = "gate@example.com"\nto = "ann@example.com"\n'
    )

    def test_what_is_built_in(self, tmp_path: Path) -> None:
        assert written(tmp_path, MINIMAL).notify == NotifyKeys()
        assert notifications.channel_names(written(tmp_path, MINIMAL)) == ()

    def test_show_no_secret(self, tmp_path: Path) -> None:
        settings = written(tmp_path, self.ALL, **SECRETS)
        assert notifications.channel_names(settings) == tuple(CHANNELS)
        shown = f"{settings!r} {settings.overrides}"
        assert [each for each in SECRETS.values() if each in shown] == []

    @pytest.mark.parametrize(
        ("name", "missing"),
        [
            ("slack", "DRIFT_SLACK_WEBHOOK"),
            ("webhook", "DRIFT_WEBHOOK_SECRET"),
            ("email", "DRIFT_SMTP_PASSWORD"),
        ],
    )
    def test_each_channel_names_the_secret_that_it_lacks(
        self, tmp_path: Path, name: str, missing: str
    ) -> None:
        given = {key: value for key, value in SECRETS.items() if key != missing}
        settings = written(tmp_path, self.ALL.replace('"mail"', '"127.0.0.1"'), **given)
        found = notifications.test(settings, (name,), datetime(2026, 2, 2, tzinfo=UTC))[name]
        assert isinstance(found, DriftConfigError)
        assert missing in str(found)

    @pytest.mark.parametrize(
        ("text", "place", "words"),
        [
            ("[notify]\nnone = 1", "[notify]", "none"),
            ('[notify]\nremind = ["soon"]', "[notify]", "no duration"),
            ('[notify]\ndigest = "9"', "[notify]", 'such as "09:00"'),
            ('[notify]\ntime_zone = "Mars/Base"', "[notify]", "Mars/Base"),
            ('[notify.owners]\nworker = "ann"', "[notify]", 'such as {worker = ["U012ABCDEF"'),
            ('[notify.authors]\n"Ann Example" = "ann"', "[notify]", "such as {ann = "),
            ('[notify.owners]\nwrker = "U012ABCDEF"', "[notify.owners]", "did you mean worker?"),
            ('[notify.slack]\nchannel = "a b"', "[notify.slack]", "channel"),
            ('[notify.slack]\ntoken = "xoxb"', "[notify.slack]", "token"),
            ('[notify.webhook]\nurl = "ftp://x"', "[notify.webhook]", "an address of the web"),
            ("[notify.webhook]", "[notify.webhook]", "url"),
            ('[notify.email]\nhost = "m"\nsender = "x"\nto = "a@b"', "[notify.email]", "must be an address"),
            ('[notify.email]\nhost = "m"\nsender = "x@y"\nto = []', "[notify.email]", "to"),
            (
                '[notify.email]\nhost = "m"\nsender = "x@y"\nto = "a@b"\nuser = "u"\nsecurity = "none"',
                "[notify.email]",
                "not sent in the open",
            ),
        ],
    )
    def test_mistakes_name_their_table(self, tmp_path: Path, text: str, place: str, words: str) -> None:
        said = mistake(tmp_path, MINIMAL + text)
        assert place in said
        assert words in said
