"""What a running image really holds, against the tree of a commit. Pure.

A label says what somebody meant to deploy; the ids of the files say what runs. That alone tells old layers
under a new label, an image from a changed work tree, and another application under the service's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from drift_gate.facts import Content, Entry, named
from drift_gate.fingerprint import LITTER, SECRETS, ends_of, matcher
from drift_gate.relevance.patterns import path_rules
from drift_gate.relevance.selection import SUBMODULE
from drift_gate.relevance.union import Union

#: Paths of each kind that a message names, and that the data lists: what a person reads before `git diff`.
NAMED, LISTED = 3, 20
#: What Python loads. Any other file that comes up after the start was written by the program itself.
CODE = (".py", ".so", ".pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDiff:
    """What an image holds of the relevant files of one commit.

    ``same`` counts those with the commit's content. ``changed`` have another one, ``missing`` should be
    there and are not, ``extra`` are in the image and neither in the commit nor declared as ``generated``
    or ``ignore``. ``unseen`` are relevant files where the worker did not look: nothing is known of them.
    """

    same: int = 0
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the image is not what the commit would make of it."""
        return bool(self.changed or self.missing or self.extra)

    @property
    def proves(self) -> bool:
        """Whether every relevant file was looked at and is as the commit has it; no file proves nothing."""
        return bool(self.same and not self.differs and not self.unseen)

    @property
    def overlooked(self) -> tuple[str, ...]:
        """Those of ``unseen`` that whoever takes the fingerprint could have let it look at.

        Not so what no fingerprint ever reads: a file that has the name of a secret, or of a build's litter.
        """
        looks_at = in_view(("",), (*LITTER, *SECRETS), ())
        return tuple(path for path in self.unseen if looks_at(path))

    def data(self) -> dict[str, list[str]]:
        """The differing paths, for those who read the JSON; of each kind ``LISTED``, then how many more."""
        kinds = {"changed": self.changed, "missing": self.missing, "extra": self.extra}
        return {name: named(paths, LISTED) for name, paths in kinds.items() if paths}

    def __str__(self) -> str:
        told = (("differing", self.changed), ("missing", self.missing), ("unknown to it", self.extra))
        return ", ".join(f"{len(paths):,} {what} ({some(paths)})" for what, paths in told if paths)


def in_view(covers: Iterable[str], ignored: Iterable[str], unread: Iterable[str]) -> Callable[[str], bool]:
    """Whether a fingerprint with these fields speaks of a path: not listing it then says it is not there."""
    looked, blind, left_out = set(covers), set(unread), matcher(ignored)

    def speaks(path: str) -> bool:
        ends = ends_of(path)
        around = {"", path, *(path[: end + 1] for end in ends)}
        return bool(around & looked) and not around & blind and not any(left_out(path[:end]) for end in ends)

    return speaks


def compare(content: Content, listing: Mapping[str, Entry], union: Union) -> ContentDiff:
    """``content`` against ``listing``, the files of a commit; ``union`` says which of them count.

    What only decides on the image (a Dockerfile) need not be in it. A file that the image holds and the
    commit does not have counts wherever it lies, since any file may be imported, unless it is declared as
    ``generated`` or ``ignore``. What a submodule holds is not known.
    """
    speaks = in_view(content.covers, content.ignored, content.unread)
    files = [path for path, entry in listing.items() if entry.mode != SUBMODULE]
    there = [path for path in files if path in content.files and union.relevant(path)]
    absent = [path for path in files if path not in content.files and union.in_image(path)]
    changed = [path for path in there if content.files[path] != listing[path].blob]
    return ContentDiff(
        same=len(there) - len(changed),
        changed=tuple(sorted(changed)),
        missing=tuple(sorted(path for path in absent if speaks(path))),
        extra=tuple(sorted(_extra(content, listing, union))),
        unseen=tuple(sorted(path for path in absent if not speaks(path))),
    )


def rewritten(content: Content, listing: Mapping[str, Entry], union: Union) -> tuple[str, ...]:
    """What counts and has become different since the worker started: it may run what was there before.

    Not what a program writes beside its code: a file that no commit has counts where it is code.
    """
    counting = {path for path in content.changed & listing.keys() if union.relevant(path)}
    return tuple(sorted(counting | (content.changed & set(_extra(content, listing, union)))))


def _extra(content: Content, listing: Mapping[str, Entry], union: Union) -> Iterator[str]:
    declared = path_rules((*union.rules.generated, *union.rules.ignore))
    modules = tuple(f"{path}/" for path, entry in listing.items() if entry.mode == SUBMODULE)
    for path in content.files:
        written = path in content.changed and not path.endswith(CODE)
        if not (path in listing or written or declared.relevant(path) or path.startswith(modules)):
            yield path


def some(paths: tuple[str, ...]) -> str:
    """The first of ``paths`` and how many more there are, for a sentence."""
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more
