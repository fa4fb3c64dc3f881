"""``deployment-drift bypass``: the lines that it prints, run by a shell, are a bypass, and end it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drift_gate.commands.bypass.lines import MOST_S, bypass
from drift_gate.commands.main import main
from drift_gate.errors import DriftConfigError
from drift_gate.policy import break_glass

NOW = datetime(2026, 2, 5, 6, 0, tzinfo=UTC)
PLACED = '[defaults]\nproject = "example-project"\nregion = "us-west2"\n[services.prediction-worker]\n'
ELSEWHERE = '[services.grader]\nproject = "other-project"\nregion = "us-west2"\n'
#: Does to a file what gcloud does to a service's variables, and keeps what it was called with.
GCLOUD = """\
#!{python}
import json, pathlib, sys
kept = pathlib.Path({folder!r})
with (kept / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
file = kept / "variables.json"
variables = json.loads(file.read_text()) if file.exists() else {{"OTHER": "kept"}}
for each in sys.argv:
    flag, _, value = each.partition("=")
    if flag == "--update-env-vars":
        variables.update(pair.split("=", 1) for pair in value.split(","))
    if flag == "--remove-env-vars":
        for name in value.split(","):
            variables.pop(name, None)
file.write_text(json.dumps(variables))
"""


class Shell:
    """A shell whose gcloud is a stand-in, in a folder with a ``drift.toml``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        gcloud = folder / "bin" / "gcloud"
        gcloud.write_text(GCLOUD.format(python=sys.executable, folder=str(folder)))
        gcloud.chmod(0o755)

    def paste(self, line: str) -> dict[str, str]:
        """Run ``line``; the variables that the service has then."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["sh", "-ec", line], env={"PATH": path}, check=True)
        variables: dict[str, str] = json.loads((self.folder / "variables.json").read_text())
        return variables

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    (tmp_path / "drift.toml").write_text(PLACED)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], str]:
    """The lines to paste, without their comments, and what was told beside them."""
    assert main(["bypass", *arguments]) == 0
    said = capsys.readouterr()
    return [line for line in said.out.splitlines() if not line.startswith("#")], said.err


class TestTheLines:
    def test_set_a_bounded_bypass_and_remove_it(
        self, shell: Shell, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """In the environment that the first line leaves, starts are bypassed until the time, not after it."""
        before = datetime.now(UTC)
        (begin, end), _ = printed(capsys, "--for", "90m", "prediction-coordinator")
        after = datetime.now(UTC)

        variables = shell.paste(begin)
        asked = break_glass.asked_for(False, None, "ann", variables, datetime.now(UTC))
        assert asked.complaints == ()
        assert asked.bypass is not None
        assert asked.bypass.until is not None
        length = timedelta(minutes=90)
        assert before + length <= asked.bypass.until <= after + length + timedelta(seconds=1)
        late = break_glass.asked_for(False, None, "ann", variables, asked.bypass.until)
        assert late.bypass is None

        variables = shell.paste(end)
        assert variables == {"OTHER": "kept"}
        assert break_glass.asked_for(False, None, "ann", variables, before) == (None, ())
        place = ["prediction-coordinator", "--project=example-project", "--region=us-west2"]
        assert [call[:6] for call in shell.calls] == [["run", "services", "update", *place]] * 2

    def test_change_nothing_until_they_are_pasted(
        self, shell: Shell, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = sorted(shell.folder.rglob("*"))
        printed(capsys, "--for", "2h")
        assert sorted(shell.folder.rglob("*")) == before

    def test_may_be_pasted_with_their_comments(
        self, shell: Shell, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["bypass", "--for", "1s", "coordinator"]) == 0
        assert shell.paste(capsys.readouterr().out) == {"OTHER": "kept"}
        assert len(shell.calls) == 2

    def test_come_with_what_a_pinned_service_makes_of_them(
        self, shell: Shell, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Those lines run as well."""
        _, told = printed(capsys, "--for", "90m", "coordinator")
        assert "makes a new revision of coordinator. Where traffic is pinned by name" in told
        for line in re.findall(r"gcloud run services [^;\n]*(?:--to-latest|'value\(spec\.traffic\)')", told):
            shell.paste(line)
        where = ["coordinator", "--project=example-project", "--region=us-west2"]
        assert shell.calls == [
            ["run", "services", "describe", *where, "--format=value(spec.traffic)"],
            ["run", "services", "update-traffic", *where, "--to-latest"],
        ]


class TestWhatIsNotKnown:
    @pytest.mark.parametrize("text", ["no [toml", "", "[services.a]\nprojekt = 1\n"])
    def test_a_broken_file_stands_in_nobodys_way(
        self, shell: Shell, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (shell.folder / "drift.toml").write_text(text)
        (begin, end), told = printed(capsys, "--for", "90m", "coordinator")
        for line in (begin, end):
            assert line.startswith(
                "gcloud run services update coordinator --project=PROJECT --region=REGION "
            )
        assert "settings not used: " in told
        assert "put in: PROJECT, REGION" in told

    def test_no_file_and_no_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / ".git").mkdir()
        monkeypatch.chdir(tmp_path)
        (begin, _), told = printed(capsys, "--for", "90m")
        assert begin.startswith("gcloud run services update COORDINATOR --project=PROJECT --region=REGION ")
        assert "put in: COORDINATOR, PROJECT, REGION" in told

    def test_services_that_live_apart(self, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
        """What they agree on is taken; a service's own table says where it lives."""
        (shell.folder / "drift.toml").write_text(PLACED + ELSEWHERE)
        (begin, _), told = printed(capsys, "--for", "90m", "coordinator")
        assert "--project=PROJECT --region=us-west2" in begin
        assert "put in: PROJECT\n" in told
        (begin, _), told = printed(capsys, "--for", "90m", "grader")
        assert "grader --project=other-project --region=us-west2" in begin
        assert "grader is what the gate judges; is it also the service that runs the gate?" in told


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--for", "25h"], "a bypass is for 1 s to 1 d; what stands longer is known"),
            (["--for", "0"], "a bypass is for 1 s to 1 d"),
            (["--for", "90m", "Coordinator; rm -rf /"], "is no name of a Cloud Run service"),
            (["--for", "90m", "PROJECT"], "is no name of a Cloud Run service"),
        ],
    )
    def test_is_refused_in_a_sentence(
        self, arguments: list[str], said: str, shell: Shell, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["bypass", *arguments]) == 2
        done = capsys.readouterr()
        assert (done.out, said in done.err) == ("", True)

    def test_without_an_end_there_is_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        for arguments in (["bypass"], ["bypass", "--for", "soon"], ["bypass", "--for", "-1"]):
            with pytest.raises(SystemExit):
                main(arguments)


@settings(deadline=None)
@given(st.floats(allow_nan=True), st.datetimes(timezones=st.just(UTC), max_value=datetime(9000, 1, 1)))
@example(float("inf"), NOW)
@example(float("nan"), NOW)
@example(MOST_S, NOW)
def test_the_end_is_in_whole_seconds_and_never_too_soon(seconds: float, now: datetime) -> None:
    """For whatever length is granted; each other one is refused."""
    try:
        made = bypass("coordinator", seconds, None, now)
    except DriftConfigError:
        assert not 1 <= seconds <= MOST_S
        return
    text = made.setting.rpartition("=")[2]
    assert datetime.fromisoformat(text) == made.until
    assert timedelta(0) <= made.until - now - timedelta(seconds=seconds) <= timedelta(seconds=1)
