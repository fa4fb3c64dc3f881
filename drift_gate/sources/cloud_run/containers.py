"""Which containers of a revision run the service's own code, and what each of them says of itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.cloud import run_v2

from drift_gate.evidence import marks
from drift_gate.evidence.image import Reference
from drift_gate.facts import Carrier, Evidence, LiveRevision, Unknown
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.cloud_run.origins import source


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """Reads the containers of a service in ``project``.

    ``named`` is the one that counts, by its name; None: each that runs the service's own code. ``label_keys``
    and ``env_keys`` are what may carry a commit, strongest first; ``tag_pattern`` says by its group
    ``commit`` where a tag names one (None: the whole tag does). The values of
    ``kept_env`` and ``kept_labels`` are told, no others are.
    """

    project: str
    named: str | None
    label_keys: Sequence[str]
    env_keys: Sequence[str]
    tag_pattern: re.Pattern[str] | None
    kept_env: Collection[str]
    kept_labels: Collection[str]

    def read(
        self, revision: str | None, labels: Any, containers: Sequence[run_v2.Container]
    ) -> tuple[LiveRevision, ...]:
        """What each container that counts says, the one that takes the requests first; at least one fact.

        A revision without the named container is one whose commit nobody can know.
        """
        containers = [run_v2.Container.pb(each) for each in containers]
        counted = self._counted(containers)
        bare = LiveRevision(revision=revision, percent=100)
        if not counted:
            return (replace(bare, unknown=self._unnamed(containers)) if containers else bare,)
        ingress = said.serving(containers)
        apart = tuple(_shown(one) for one in containers if not any(one is each for each in counted))
        facts = [
            replace(
                self._facts(bare, labels, one),
                container=said.bounded(one.name) or None if len(counted) > 1 or self.named else None,
                takes_requests=one is ingress,
                sidecars=apart,
            )
            for one in counted
        ]
        return tuple(sorted(facts, key=lambda one: not one.takes_requests))

    def claims(self, labels: Any, carrier: Carrier) -> tuple[Evidence, ...]:
        """What ``labels`` say of the commit."""
        return tuple(
            Evidence(carrier=carrier, key=key, value=said.bounded(labels[key]))
            for key in self.label_keys
            if key in labels
        )

    def _facts(self, bare: LiveRevision, labels: Any, container: run_v2.Container) -> LiveRevision:
        image = said.bounded(container.image)
        return replace(
            bare,
            evidence=(*self.claims(labels, "revision-label"), *self._own_claims(container)),
            image=image or None,
            start=said.start(container),
            base_image=said.bounded(container.base_image_uri) or None,
            origin=source(container),
            env_names=frozenset(said.set_names(container)),
            env=said.values(container, self.kept_env),
            labels={name: said.bounded(labels[name]) for name in self.kept_labels if name in labels},
        )

    def _own_claims(self, container: run_v2.Container) -> tuple[Evidence, ...]:
        image = said.bounded(container.image)
        return (*said.image_tag(image, self.tag_pattern), *said.variables(container, self.env_keys))

    def _counted(self, containers: Sequence[run_v2.Container]) -> list[run_v2.Container]:
        """Those that run the service's own code; where nothing tells which, all of them."""
        if self.named is not None:
            sole = len(containers) == 1
            return [one for one in containers if one.name == self.named or (sole and not one.name)]
        own = {_place(one) for one in containers if self._is_own(one)}
        return [one for one in containers if len(containers) == 1 or _place(one) in own] or list(containers)

    def _is_own(self, container: run_v2.Container) -> bool:
        """An image of the service's project or without a name of its own, or one that names a commit."""
        reference = Reference.of(container.image)
        if reference is None or f"{reference.name}/".startswith(f"{self.project.replace(':', '/')}/"):
            return True
        return any(claim.is_commit for claim in marks.read(self._own_claims(container)))

    def _unnamed(self, containers: Sequence[run_v2.Container]) -> Unknown:
        there = ", ".join(said.bounded(one.name) or "one without a name" for one in containers)
        sentence = f"there is no container {self.named}, which `container` names (there: {there})"
        return Unknown(cause="not-found", message=sentence)


def _place(container: run_v2.Container) -> str | None:
    """Whose images these are: the registry, and the project or account in it; None for no image's name."""
    reference = Reference.of(container.image)
    return None if reference is None else f"{reference.host}/{reference.name.partition('/')[0]}"


def _shown(container: run_v2.Container) -> str:
    return f"{said.bounded(container.name) or 'a container'} ({said.bounded(container.image)})"
