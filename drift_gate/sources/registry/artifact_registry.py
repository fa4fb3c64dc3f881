"""Evidence: what the images that the live revisions run say of their commit, asked of their registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from drift_gate.errors import SourceError
from drift_gate.evidence.image import (
    LABEL_KEYS,
    Image,
    Reference,
    claims_of,
    findings,
    named_after,
    running,
    suspects,
)
from drift_gate.facts import Finding, Live, LiveRevision
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.sources.http.client import Http
from drift_gate.sources.one_line import one_line
from drift_gate.sources.registry.oci import REALMS, Cache, Logins, Oci, Token, is_google

#: Seconds that registries get at most, however long the deadline is: what they know is read in one, or the
#: check is better off without.
PATIENCE_S = 3.0
#: Seconds before the end of that at which the asking ends, so that its cause still gets here.
HANDOVER_S = 0.1


class Registry:
    """A ``facts.EvidenceSource`` that reads labels of images.

    ``deadline`` is by when it has to have answered: give it a share of the check's. ``label_keys`` are what
    may carry a commit, strongest first. ``token`` gives Google's access token, for Google's registries; None
    asks them as a stranger. ``http`` makes the way out for a deadline. ``cache`` may be shared by all checks
    of a process; None begins an empty one. ``logins`` and ``realms`` are as ``Oci`` has them.
    """

    def __init__(
        self,
        *,
        deadline: Deadline,
        label_keys: Sequence[str] = LABEL_KEYS,
        token: Token | None = None,
        http: Callable[[Deadline], Http] = Http,
        cache: Cache | None = None,
        logins: Logins | None = None,
        realms: Mapping[str, Collection[str]] = REALMS,
    ) -> None:
        self._deadline = deadline
        self._keys = label_keys
        self._http = http
        cache = Cache() if cache is None else cache
        self._oci = partial(Oci, cache=cache, token=token, logins=logins, realms=realms)

    def with_evidence(self, live: Live) -> Live:
        """``live`` with the labels of what it runs as evidence, and with what contradicts them as findings.

        A label counts for a digest that is known to run and for no other: what a tag holds now says nothing
        about what was deployed by it then.
        """
        asked = [one for one in live.revisions if one.image and not one.unknown]
        if not asked:
            return live
        wanted = dict.fromkeys(
            [*filter(None, (*map(running, asked), *map(named_after, asked))), *suspects(live)]
        )
        answers = self._ask(tuple(wanted))
        images = {ref.digest: image for ref, image in _known(answers) if ref.digest}
        tags = {ref: image for ref, image in _known(answers) if ref.tag}
        unreachable = [finding for one in asked for finding in _unreachable(one, answers)]
        return replace(
            live,
            revisions=tuple(self._labelled(one, images) for one in live.revisions),
            findings=(*live.findings, *findings(live, images, tags, self._keys), *unreachable),
        )

    def _ask(self, references: Sequence[Reference]) -> dict[Reference, Image | SourceError]:
        left = self._deadline.remaining()
        within = self._deadline.sooner(left - min(PATIENCE_S, left))
        asking = within.sooner(HANDOVER_S)
        with self._http(asking) as http:
            oci = self._oci(http, asking)
            return gather({each: partial(oci.image, each) for each in references}, within)

    def _labelled(self, revision: LiveRevision, images: Mapping[str, Image]) -> LiveRevision:
        reference = running(revision)
        image = images.get(str(reference.digest)) if reference and not revision.unknown else None
        if image is None:
            return revision
        return replace(revision, evidence=(*claims_of(image, self._keys), *revision.evidence))


def _known(answers: Mapping[Reference, Image | SourceError]) -> Iterator[tuple[Reference, Image]]:
    yield from ((ref, answer) for ref, answer in answers.items() if isinstance(answer, Image))


def _unreachable(
    revision: LiveRevision, answers: Mapping[Reference, Image | SourceError]
) -> Iterator[Finding]:
    """That the image of ``revision`` could not be asked, or its tag not compared: the first cause alone."""
    name, reference, tag = revision.called or "the template", running(revision), named_after(revision)
    if reference is None:
        sentence = (
            f"which image {name} runs is not known: it is named {one_line(str(revision.image))}, "
            "and a tag may have moved since. Deploy by digest: --image=NAME@sha256:…"
        )
        error: object = SourceError(sentence, "no-commit-evidence", False)
    else:
        error = answers[reference]
    if not isinstance(error, SourceError) and tag is not None:
        error = answers[tag]
        if isinstance(error, SourceError) and error.cause == "not-found":
            return  # not everybody tags by commit
    if isinstance(error, SourceError):
        host = tag.host if tag else reference.host if reference else ""
        data: dict[str, str | int | float | bool | list[str] | None] = {
            "carrier": "image-label",
            "cause": error.cause,
            "revision": revision.revision,
        }
        sentence = error.message if reference is None else f"{error.message}. {_next_step(error, host)}"
        yield Finding(code="evidence-unreachable", message=sentence, data=data)


def _next_step(error: SourceError, host: str) -> str:
    match error.cause:
        case "credentials" | "permission-denied" if is_google(host):
            return "Grant roles/artifactregistry.reader on the repository to the account that runs this check"
        case "credentials" | "permission-denied":
            return f"Give this check a login for {host} that may pull"
        case "not-found":
            return "Was the image deleted? Deploy again from one that is there"
        case _:
            return f"Check that {host} can be reached from here, and try again"
