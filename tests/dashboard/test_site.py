"""The dashboard as files: from the command to a folder that opens from a disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from dashboard.worlds import Page, World, settings_of
from journal.stores import entry

from drift_gate.commands.main import main
from drift_gate.dashboard import site
from drift_gate.errors import DriftConfigError


def run(folder: Path, *arguments: str) -> int:
    return main(["--config", str(folder / "drift.toml"), "dashboard", *arguments])


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, ["a-worker", "b-loader"], f'[journal]\nstore = "{tmp_path}/journal.sqlite"\n')
    world.record(entry(0, 4, "a-worker"), entry(0, 0, "b-loader"), entry(0, None, "<odd/name>"))
    return world


def test_each_link_of_a_page_leads_to_a_file(world: World, tmp_path: Path) -> None:
    out = tmp_path / "site"
    assert site.write(world.dashboard, out)
    assert (out / "index.html").read_bytes() == world.dashboard.answer("index.html").body
    for file in out.rglob("*.html"):
        for link in leads(file):
            assert urlsplit(link).path == "" or Path(urlsplit(link).path).is_file(), (file, link)


def leads(file: Path) -> Iterator[str]:
    """What a page needs and links to within the folder, as addresses of files."""
    for _, attributes in Page(file.read_text(encoding="utf-8")).tags:
        for target in (attributes.get("href"), attributes.get("src")):
            if target and not target.startswith(("https:", "#")):
                yield urljoin(file.as_uri(), target)


def test_the_command_writes_it(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--out", str(tmp_path / "site")) == 0
    assert capsys.readouterr().out == f"{tmp_path}/site/index.html\n"
    assert "a-worker" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not list((tmp_path / "site").rglob(".*"))


def test_pages_that_say_nothing_are_written_and_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stood there before does not stay."""
    settings_of(tmp_path, ["a-worker"], f'[journal]\nstore = "{tmp_path}/journal.sqlite"\n')
    assert run(tmp_path, "--out", str(tmp_path / "site")) == 3
    assert "has anybody looked yet?" in capsys.readouterr().err
    assert "Nobody has looked" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


def test_where_nothing_is_kept_nothing_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings_of(tmp_path, ["a-worker"], '[journal]\nstore = "off"\n')
    assert run(tmp_path, "--out", str(tmp_path / "site")) == 2
    assert "no verdict is kept" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DriftConfigError, match=r"--out .*file"):
        site.write(world.dashboard, tmp_path / "file")
