"""Journals for the dashboard, made by hand, and pages as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

from journal.stores import at

from drift_gate.dashboard.routes import Dashboard
from drift_gate.journal.records import Entry, Look
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import Settings, load

REPOSITORY = "https://github.com/acme/predictions"


def settings_of(folder: Path, services: Sequence[str], more: str = "") -> Settings:
    """Settings that declare these services."""
    text = f'[defaults]\nproject = "acme-prod"\nregion = "us-west2"\nrepository = "{REPOSITORY}"\n'
    text += "".join(f"[services.{name}]\n" for name in services)
    file = folder / "drift.toml"
    file.write_text(text + more, encoding="utf-8")
    return load(environ={"DRIFT_CONFIG": str(file)})


class World:
    """A journal in ``folder``, and the dashboard that shows it at a time that a test moves."""

    def __init__(self, folder: Path, services: Sequence[str], more: str = "") -> None:
        self.folder = folder
        self.settings = settings_of(folder, services, more)
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self.now: datetime = at(0)
        forge = Forge("github", REPOSITORY)
        forges = dict.fromkeys(services, forge)
        self.dashboard = Dashboard(self.journal, self.settings, forges, clock=lambda: self.now)

    def record(self, *entries: Entry, look: Look | None = None) -> None:
        """Keep them, and move the clock to the last of them."""
        self.journal.record(entries, look)
        self.now = max(self.now, *(each.at for each in entries))

    def page(self, path: str = "index.html", query: Mapping[str, str] | None = None) -> Page:
        """What is answered, as text."""
        return Page(self.dashboard.answer(path, query).body.decode())


class Page(HTMLParser):
    """A page as its reader has it: its tags with their attributes, its text, its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All that is read, on one line."""
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        """Where it leads."""
        return [str(attributes["href"]) for tag, attributes in self.tags if tag == "a"]

    @property
    def classes(self) -> set[str]:
        """The classes of all that it has."""
        return {each for _, found in self.tags for each in (found.get("class") or "").split()}
