"""What is relevant of one tree, and how patterns alone decide that; ``narrowing`` does where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drift_gate.facts import Entry, Finding
from drift_gate.relevance import links
from drift_gate.relevance.patterns import PathRules, path_rules, reason
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.tree import LINK as LINK
from drift_gate.relevance.tree import SUBMODULE as SUBMODULE
from drift_gate.relevance.tree import Tree as Tree

Because = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is relevant of one tree.

    ``because``: each relevant path with its reasons, the nearest first; where patterns alone decide
    (``Rules.by_patterns_alone``) only what they do not match themselves. ``modules``: the submodules.
    ``nothing``: why this tree selects nothing that can be trusted, None where it does. ``idle``: patterns
    of ``paths`` that match nothing here. ``unused``: ``.py`` files that the image copies and the closure
    never imports. ``loaded``: files that a run has loaded, as the repository keeps them: they count, wherever
    they lie. ``elsewhere``: data of the image that only unused files name, each with them. ``entries``:
    where the worker starts. ``inputs``: relevant paths that are not known to be in the image itself (its
    Dockerfile, what only an earlier stage copies). ``verbatim``: the worker reads its own text, so that
    comments count. ``base``: the image below the worker's own, as its Dockerfile names it, empty without one.
    ``findings`` are for the policy to judge, ``remarks`` for people who ask.
    """

    because: Because = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    nothing: str | None = None
    idle: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    loaded: frozenset[str] = frozenset()
    elsewhere: Because = field(default_factory=dict)
    verbatim: bool = False
    entries: tuple[str, ...] = ()
    base: str = ""
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()


def deciding(rules: Rules, files: Mapping[str, Entry]) -> set[str]:
    """The paths whose texts ``by_patterns`` is sure to need: links."""
    return links_of(files) if rules.paths is not None else set()


def links_of(files: Mapping[str, Entry]) -> set[str]:
    """The paths of ``files`` that are links; the text of one is where it leads to."""
    return {path for path, entry in files.items() if entry.mode == LINK}


def by_patterns(rules: Rules, tree: Tree) -> Selection:
    """The selection where patterns alone decide: whether they match anything, and what links lead to."""
    patterns = path_rules(rules.paths, rules.ignore)
    declared = ", ".join(rules.paths or ()) or "everything"
    because: Because = {}
    modules = tree.modules
    if rules.paths is not None:
        found = beyond(path_rules(rules.paths), tree, targets(tree))
        ignored = path_rules(None, rules.ignore)
        because = {path: why for path, why in found.items() if ignored.relevant(path, path in modules)}
    return Selection(
        because=because,
        modules=modules,
        nothing=None if because or patterns.selects(tree.files) else f"paths ({declared}) select no file",
        idle=patterns.idle(tree.files, modules),
    )


def beyond(patterns: PathRules, tree: Tree, targets: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What counts by patterns though no pattern matches it as a file: submodules, and what links lead to."""
    modules = tree.modules
    because = {
        path: (reason(patterns, path, is_folder=True),) for path in modules if patterns.relevant(path, True)
    }
    return because | links.counted(tree.files, targets, patterns.relevant)


def targets(tree: Tree) -> dict[str, str]:
    """Where each link leads to, as it says."""
    return {path: tree.text(path) or "" for path, entry in tree.files.items() if entry.mode == LINK}
