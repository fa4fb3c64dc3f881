"""The relevant paths of one tree where more than patterns decides: the rules of this folder put together.

In three steps, so that the caller can fetch contents in two batches: which texts decide on the set of
files (``deciding``), which files that is (``image_of``), and which of them the worker can reach
(``select``). It loads all that reads images, so it is imported where there is one to be read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from drift_gate.facts import Entry, Finding
from drift_gate.relevance import build, links, mentions, own_files
from drift_gate.relevance.dockerfile import upload
from drift_gate.relevance.dockerfile.image import Image
from drift_gate.relevance.patterns import path_rules, reason
from drift_gate.relevance.python import closure, closure_findings
from drift_gate.relevance.python.chains import Closure
from drift_gate.relevance.python.config_names import COMPILED, ENDINGS, names_in_text
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Because, Selection, beyond, links_of
from drift_gate.relevance.selection import targets as targets_of
from drift_gate.relevance.start import entrypoints
from drift_gate.relevance.start.live_start import started
from drift_gate.relevance.tree import Tree

#: Where in the image, to no import root, those files lie that an earlier stage or a mount holds: a RUN may
#: have brought them to any place.
_SOMEWHERE = "/.made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that may matter, before they are narrowed down.

    ``because``: each with its reason. ``layout``: absolute path in the image to repository path, links
    resolved; ``passed``: for such a path the repository paths of the links. ``entries`` and ``roots``
    begin the import closure; without entries nothing is narrowed. ``data`` and ``said``: see ``mentions``.
    ``variables`` are what the image sets and the words that it starts, by what people call them.
    ``inputs``, ``modules`` and ``base`` are as in ``Selection``. ``complete``: nobody can tell that the image
    lacks something. ``kept`` are never narrowed down: what is declared by hand, and that of which something
    of any kind is made. ``builders`` are run when the image is made. ``moved``: see ``build.moved_by``.
    """

    because: Because
    inputs: frozenset[str] = frozenset()
    layout: Mapping[str, str] = field(default_factory=dict)
    passed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    entries: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    builders: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    data: frozenset[str] = frozenset()
    said: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    kept: frozenset[str] = frozenset()
    nothing: str | None = None
    idle: tuple[str, ...] = ()
    modules: frozenset[str] = frozenset()
    base: str = ""
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def sources(self) -> set[str]:
        """The ``.py`` files whose contents ``select`` asks for."""
        return {path for path in self.layout.values() if path.endswith(".py")} if self.entries else set()

    @property
    def configs(self) -> dict[str, str]:
        """The configuration files whose contents ``select`` asks for: path in the image to repository path.

        What lies in a hidden folder speaks to tools. In order, since the first that names a module is its
        reason.
        """
        held = sorted(self.layout.items()) if self.entries else ()
        return {
            at: path
            for at, path in held
            if at.endswith((*ENDINGS, *COMPILED))
            and "/." not in at
            and path in self.because
            and path not in self.inputs
        }


def deciding(rules: Rules, files: Mapping[str, Entry]) -> set[str]:
    """The paths whose texts ``image_of`` is sure to need: Dockerfiles, ignore files, links."""
    wanted = links_of(files)
    image: Rules | None = rules
    while image is not None and image.dockerfile is not None:
        ignore_files = (f"{image.dockerfile}.dockerignore", posixpath.join(image.context, ".dockerignore"))
        wanted |= {image.dockerfile, *map(posixpath.normpath, ignore_files), *upload.asked(image.context)}
        image = image.base
    return wanted & files.keys()


def image_of(rules: Rules, tree: Tree) -> Files:
    """The files that may matter, and where the worker starts."""
    targets = targets_of(tree)
    if rules.dockerfile is None:
        return _without_dockerfile(rules, tree, targets)
    image = build.image_of(rules, tree, targets)
    if image is None:
        why = f"there is no {rules.dockerfile}"
        inside = "" if rules.context == "." else f"{rules.context}/"
        context = {
            path: (f"the whole build context: {why}",) for path in tree.files if path.startswith(inside)
        }
        because = context | dict(_declared(rules, tree, targets))
        return Files(because=because, inputs=frozenset(because), nothing=why)
    return _with_dockerfile(rules, tree, targets, image)


def select(
    rules: Rules,
    files: Files,
    tree: Collection[str],
    facts: Callable[[str], ImportFacts],
    literals: Callable[[str], Iterable[str]],
) -> Selection:
    """What of ``files`` the worker can reach.

    ``tree``: every path of the repository. ``facts`` answers for the paths of ``files.sources`` and
    ``files.configs``, ``literals`` for every path of the image (see ``mentions.named_elsewhere``).
    """
    ignored = path_rules(None, rules.ignore)
    closed = None
    if files.entries:
        beyond = () if files.complete else tree
        named = {at: facts(path) for at, path in files.configs.items() if ignored.relevant(path)}
        named |= {name: names_in_text(text) for name, text in files.variables.items()}
        closed = closure.close(
            files.entries, files.roots, files.layout, facts, beyond, files.passed, named, files.moved
        )
    kept = files.kept | closure.built(
        files.builders if files.entries else (), files.roots, files.layout, facts
    )
    because = dict(files.because)
    unused: list[str] = []
    elsewhere: Because = {}
    anything = closed is not None and closure_findings.anything(rules, closed)
    if closed is not None and not anything and closed.reached:
        idle = files.sources - closed.reached.keys() - kept
        unused = [path for path in sorted(idle) if path in because]
        for path in unused:
            del because[path]
    if closed is not None:
        because |= {path: chain[1:] or ("entry point",) for path, chain in closed.reached.items()}
        reached = closed.reached.keys() | kept | (files.sources if anything else set())
        narrowed = files.because.keys() - kept
        held = {at: path for at, path in files.layout.items() if path in narrowed}
        certain = closed.reached and not anything
        outer = narrowed - files.inputs if certain else frozenset[str]()
        own = own_files.candidates(rules, outer & set(held.values()), closed.reached, facts)
        elsewhere = mentions.named_elsewhere(held, reached, literals, files.data, files.said, own)
        for path in elsewhere:
            del because[path]
    because = {path: why for path, why in because.items() if ignored.relevant(path)}
    return Selection(
        because=because,
        modules=files.modules,
        inputs=files.inputs,
        nothing=files.nothing or _why_nothing(files, closed, because),
        idle=files.idle,
        unused=tuple(unused),
        elsewhere=elsewhere,
        verbatim=closed is not None and any(facts(path).reads_source for path in closed.reached),
        entries=files.entries,
        base=files.base,
        findings=(*files.findings, *closure_findings.findings(rules, closed, files.roots, files.layout)),
        remarks=(*files.remarks, *closure_findings.remarks(rules, closed)),
    )


def _without_dockerfile(rules: Rules, tree: Tree, targets: Mapping[str, str]) -> Files:
    """A function without an image: the declared paths, and whatever of the tree its entry points import."""
    because = dict(_declared(rules, tree, targets))
    placed, passed = links.resolved({f"/{path}": path for path in tree.files}, targets)
    roots = [posixpath.normpath(f"/{root}") for root in rules.import_roots]
    entries = tuple(entrypoints.given(entry, placed, "/") for entry in rules.entrypoint)
    if not roots:
        roots = [*dict.fromkeys(posixpath.dirname(entry) for entry in entries if entry in placed), "/"]
    return Files(
        because=because,
        inputs=frozenset(rules.build_files),
        layout=placed,
        passed=passed,
        entries=entries,
        roots=tuple(roots),
        data=_data(rules, tree, placed),
        complete=True,
        idle=path_rules(rules.paths).idle(tree.files, tree.modules),
        modules=tree.modules,
    )


def _with_dockerfile(rules: Rules, tree: Tree, targets: Mapping[str, str], image: Image) -> Files:
    image = started(image, rules.start)
    because: dict[str, tuple[str, ...]] = {path: (reason,) for path, reason in image.sources.items()}
    declared = _declared(rules, tree, targets)
    because |= {path: why for path, why in declared.items() if path not in because}
    placed, passed = links.resolved(image.layout, targets)
    found = entrypoints.found(image, tree.text)
    entries, roots = tuple(entry.path for entry in found.entries), found.roots
    workdir = image.workdir
    remarks = [*image.remarks, *(f"entry point: {each.path} ({each.because})" for each in found.entries)]
    doubt = found.unresolved
    if rules.entrypoint:
        given = tuple(entrypoints.given(entry, placed, workdir) for entry in rules.entrypoint)
        if entries and {*given, *found.hooks} != set(entries):
            told = f"{', '.join(given)}; the Dockerfile starts {', '.join(entries)}"
            remarks.append(f"the given entry points win: {told}")
        entries, doubt = given + found.hooks, None
    if rules.import_roots:
        roots = tuple(posixpath.normpath(posixpath.join(workdir, root)) for root in rules.import_roots)
    if not roots:
        roots = tuple(dict.fromkeys([*(posixpath.dirname(each) for each in entries if "/" in each), workdir]))
    if doubt is not None or image.unresolved is not None:
        entries = ()
    doubts = [each for each in (doubt, image.unresolved) if each is not None]
    unseen = tuple(build.elsewhere(rules, tree.files, image))
    placed_ones = frozenset(image.layout.values())
    used = {f"{_SOMEWHERE}/{path}": path for path in image.sources if path not in placed_ones}
    used = {at: path for at, path in used.items() if at.endswith(".py")}
    return Files(
        because=because,
        inputs=frozenset(because) - placed_ones,
        layout=placed | used,
        passed=passed,
        entries=entries,
        roots=roots,
        builders=found.builders,
        moved=build.moved_by(image),
        data=_data(rules, tree, placed),
        said=mentions.said_by(tree.text(rules.dockerfile or "") or ""),
        variables=_variables(rules, image),
        complete=bool(unseen),
        kept=frozenset({*used.values(), *declared, *build.taken_by(image)}),
        idle=path_rules(rules.paths).idle(tree.files, tree.modules),
        modules=tree.modules,
        base=image.base,
        findings=(
            *build.not_in_git(rules, image),
            *unseen,
            *map(closure_findings.unresolved, doubts),
        ),
        remarks=tuple(remarks),
    )


def _data(rules: Rules, tree: Tree, layout: Mapping[str, str]) -> frozenset[str]:
    held = {path for path in layout.values() if path not in rules.build_files}
    return frozenset(path for path in held if mentions.is_data(path, tree.files[path].mode, rules.context))


def _variables(rules: Rules, image: Image) -> dict[str, str]:
    """What the image sets, and starts where nobody said otherwise, each as a text that may name a module."""
    if image.start is None:
        return {}
    texts = {f"ENV {name}": f"{name}={value}" for name, value in image.start.environment.items()}
    if not rules.entrypoint:
        texts["the start command"] = " ".join(image.start.entrypoint + image.start.command)
    return texts


def _declared(rules: Rules, tree: Tree, targets: Mapping[str, str]) -> Because:
    """What ``paths`` and ``build_files`` select; everything where nothing at all is declared."""
    patterns = path_rules(rules.paths)
    because: dict[str, tuple[str, ...]] = {}
    if rules.paths is not None or rules.dockerfile is None:
        because = {path: (reason(patterns, path),) for path in tree.files if patterns.relevant(path)}
        because = beyond(patterns, tree, targets) | because
    because |= build.sources_of_generated(rules, tree.files)
    return because | {path: ("build_files",) for path in rules.build_files if path in tree.files}


def _why_nothing(files: Files, closed: Closure | None, because: Because) -> str | None:
    if closed is not None and not closed.reached:
        return f"the entry points ({', '.join(files.entries)}) are not there"
    return None if because else "no file is left"
