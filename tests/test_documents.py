"""The pages lead to each other: every link holds, and the table of contents names them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.documents import DOCS, DOCUMENTS, ROOT, headings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    """Relative links name a file, and its heading where they name one."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), f"{document.name}: {target}"
        assert not heading or heading in headings(linked), f"{document.name}: {target}"


def test_the_readme_fits_and_says_first_what_it_is_not_about() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert lines[2].startswith("This is not about model drift or data drift")


def test_every_page_is_in_the_table_of_contents() -> None:
    """docs/README.md leads to each page; the decisions have a list of their own."""
    contents = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {*DOCS.glob("*.md"), *(DOCS / "reference").glob("*.md"), DOCS / "decisions" / "README.md"}
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", contents)}
    assert pages - linked == {DOCS / "README.md"}


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {file.name for file in folder.glob("0*.md")}
