"""The pages of the project as Markdown: their code, their tables, their headings."""

from __future__ import annotations

import re
import textwrap
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def blocks(language: str, *pages: Path) -> list[str]:
    """The fenced blocks of one language, also those of a list, without their indentation."""
    fenced = rf"^( *)```{language}\n(.*?)^\1```$"
    texts = [page.read_text(encoding="utf-8") for page in pages]
    return [
        textwrap.dedent(found[2])
        for text in texts
        for found in re.finditer(fenced, text, re.DOTALL | re.MULTILINE)
    ]


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose first column is called ``head``."""
    _, _, below = text.partition(f"\n| {head} |")
    lines = takewhile(lambda line: line.startswith("|"), below.splitlines()[2:])
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}
