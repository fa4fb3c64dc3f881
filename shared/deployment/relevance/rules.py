"""What drift.toml declares about the relevant paths of a service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """The declaration; equal rules over equal trees select equal paths.

    ``paths`` (None: not declared) and ``ignore`` are gitignore patterns. ``dockerfile`` and ``context``
    are paths in the repository; ``build_files`` matter beside the Dockerfile; ``generated`` are
    gitignore patterns of COPY sources that git never holds. ``entrypoint`` are files or dotted modules,
    ``import_roots`` folders where imports begin: of the image with a Dockerfile, else of the repository.
    """

    paths: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    dockerfile: str | None = None
    context: str = "."
    build_files: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    import_roots: tuple[str, ...] = ()

    @property
    def by_patterns_alone(self) -> bool:
        """Whether a path can be judged by itself, without a look at the tree."""
        return self.dockerfile is None and not self.entrypoint
