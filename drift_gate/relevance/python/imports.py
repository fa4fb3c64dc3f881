"""What one ``.py`` file imports, read from its syntax tree without running it.

The facts depend on the content alone, so they can be remembered by blob id; which files the names mean
is ``closure``'s business.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from drift_gate.relevance.python.import_calls import Calls
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.syntax import parsed

_PROGRAM = re.compile(rb"#![^\n]*python")
#: ``inspect``'s functions that give a module's own text, and what is in their names: words are found five
#: times as fast.
_READS_SOURCE = re.compile(rb"\b(?:getsource|getsourcelines|getcomments|findsource)\b")
_IN_THEIR_NAMES = (b"getsource", b"getcomments", b"findsource")


def facts_of(source: bytes) -> ImportFacts:
    """The imports of a file. Never raises: what cannot be parsed is guessed at, and said to be."""
    return replace(
        _imports_of(source),
        program=bool(_PROGRAM.match(source)),
        reads_source=any(name in source for name in _IN_THEIR_NAMES) and bool(_READS_SOURCE.search(source)),
    )


def _imports_of(source: bytes) -> ImportFacts:
    tree = parsed(source)
    if tree is not None:
        return _followed(tree, source)
    from drift_gate.relevance.python.syntax_pieces import pieces  # as import_lines, for the few that need it

    tree, rest = pieces(source)
    facts = _followed(tree, source)
    return facts if rest is None else facts.beside(_guessed(rest))


def _followed(tree: ast.Module, source: bytes) -> ImportFacts:
    calls = Calls(tree)
    try:
        calls.read()
    except RecursionError:  # an expression that the parser could nest and we cannot
        return _guessed(source.decode("utf-8", "replace"))
    return calls.facts()


def _guessed(text: str) -> ImportFacts:
    from drift_gate.relevance.python.import_lines import guessed

    return guessed(text)
