"""The gate's own files in an image, ``drift.toml`` above all: who else may read them.

They are written for the gate. An acknowledgement that is merged into one of them changes no worker, and must
not end by that change. Yet they count wherever the workload may read them: it names them, it is told of the
gate, or somebody declared them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from drift_gate.relevance.patterns import path_rules
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.rules import Rules

#: What stands for the module that names a file, where that is nobody but the gate.
GATE = "the drift gate"
#: The gate's modules, commands and distributions: whoever has one of them may have the gate read its files.
_NAMES = re.compile(r"drift_gate|deployment[-_](?:drift|checker)|prediction-(?:coordinator|drift-gate)")


def candidates(
    rules: Rules, files: Collection[str], reached: Iterable[str], facts: Callable[[str], ImportFacts]
) -> frozenset[str]:
    """Those of ``files`` that are the gate's own, and that neither a rule nor an import makes the workload's.

    ``reached``: the ``.py`` files of the closure, for which ``facts`` answers.
    """
    declared = path_rules(rules.paths) if rules.paths is not None else None
    own = {
        path
        for path in rules.own
        if path in files
        and path not in rules.build_files
        and not (declared is not None and declared.relevant(path))
    }
    return frozenset() if own and any(_imports_gate(facts(path)) for path in reached) else frozenset(own)


def tell_of_gate(words: Iterable[str]) -> bool:
    """Whether one of ``words`` names the gate, or a part of it."""
    return any(_NAMES.search(word) for word in words)


def _imports_gate(found: ImportFacts) -> bool:
    imports = (name for one in found.imports for name in (one.module, *one.names))
    return tell_of_gate((*imports, *found.named, *found.handed))
