"""What the registry says of an image that was pushed: its digest, and the commit that it names."""

from __future__ import annotations

from collections.abc import Callable

from drift_gate.errors import BuildError, SourceError
from drift_gate.evidence.image import Image, Reference
from drift_gate.runtime.deadline import Deadline

#: The label that every builder gives its image:
#: https://github.com/opencontainers/image-spec/blob/main/annotations.md
LABEL = "org.opencontainers.image.revision"

#: What a registry holds under a name, within a deadline. Raises ``SourceError``.
Ask = Callable[[Reference, Deadline], Image]


def reference_of(image: str) -> Reference:
    """``image`` as a registry knows it. Raises ``BuildError`` for what is no name of one."""
    reference = Reference.of(image)
    if reference is None:
        raise BuildError(f"{image} is no name of an image")
    return reference


def by_digest(image: str, commit: str, ask: Ask, within: Deadline) -> str:
    """``image``, a name with a tag or a digest, as ``NAME@sha256:…``, the digest as the registry has it.

    Raises ``BuildError`` where there is no such image, or where its label names another commit than
    ``commit``: whoever moved the tag meanwhile deploys nothing by us. An image without the label is taken.
    """
    reference = reference_of(image)
    try:
        held = ask(reference, within)
    except SourceError as error:
        if error.cause != "not-found":
            raise
        raise BuildError(f"the registry has no image {reference}: {error.message}") from error
    named = held.labels.get(LABEL)
    if named is not None and named != commit:
        raise BuildError(
            f"{reference} says by {LABEL} that it was built from {named[:64]}, not from {commit}"
        )
    return f"{reference.host}/{reference.name}@{held.digest}"
