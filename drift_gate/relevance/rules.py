"""What drift.toml declares about the relevant paths of a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drift_gate.facts import LiveStart

#: How a build gets its sources: what gcloud sends, a clone of the commit, or whichever the files speak for.
Upload = Literal["auto", "gcloud", "git"]
#: In ``build_contexts``, an image and no folder.
IMAGE_CONTEXT = "docker-image://"


@dataclass(frozen=True, slots=True)
class Rules:
    """The declaration; equal rules over equal trees select equal paths.

    ``paths`` (None: not declared) and ``ignore`` are gitignore patterns. ``dockerfile`` and ``context``
    are paths in the repository, ``stage`` is the stage that is built (None: the last one);
    ``build_files`` matter beside the Dockerfile; ``generated`` are gitignore patterns of COPY sources
    that git never holds. ``entrypoint`` are files or dotted modules, ``import_roots`` folders where
    imports begin: of the image with a Dockerfile, else of the repository. ``made_from``: for places among
    ``generated`` the paths that they are made from. ``build_contexts``: the folder of each named build
    context, or ``docker-image://…``. ``base``: the rules of the image that this one is built upon; None:
    it is nobody's here. ``images``: the services whose images a FROM may name. ``loaded`` is where the
    repository keeps the list of files that a run has loaded, and the service's name in it; None: nowhere.
    ``own`` are the gate's own files, see ``own_files``. ``start`` is declared nowhere: it is how a live
    revision starts the image.
    """

    paths: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    dockerfile: str | None = None
    stage: str | None = None
    context: str = "."
    build_files: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    import_roots: tuple[str, ...] = ()
    made_from: tuple[tuple[str, tuple[str, ...]], ...] = ()
    build_contexts: tuple[tuple[str, str], ...] = ()
    upload: Upload = "auto"
    base: Rules | None = None
    images: tuple[str, ...] = ()
    loaded: tuple[str, str] | None = None
    own: tuple[str, ...] = ()
    start: LiveStart | None = None

    @property
    def by_patterns_alone(self) -> bool:
        """Whether a path can be judged by itself, without a look at the tree."""
        return self.dockerfile is None and not self.entrypoint
