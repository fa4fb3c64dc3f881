"""What a live image says of its commit, and what in its registry contradicts the deploy that runs it. Pure.

A label on a revision is what somebody wrote at the deploy. The image has its own, and beside it stand
the tag that is named after the commit and the revisions before: an old image under a new label shows there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from drift_gate.evidence import marks as evidence
from drift_gate.facts import Evidence, Finding, Live, LiveRevision

#: The label that the OCI image specification reserves for the commit (its "annotations" chapter).
LABEL_KEYS = ("org.opencontainers.image.revision",)
#: By how much (seconds) the clocks of whoever builds and whoever deploys may differ.
SKEW_S = 60
#: How many images of other revisions are worth a look, where only that can tell two from one.
MOST_SUSPECTS = 4
#: Characters of the longest tag (the OCI distribution specification, "Pulling manifests").
TAG_LIMIT = 128
#: A shorter id is no commit's: git itself abbreviates to seven digits.
_SHORTEST = 7

_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?P<host>localhost(?::\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+)/)?"
    rf"(?P<name>{_NAME}(?:/{_NAME})*)"
    rf"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by its full name: the registry, the repository in it, and the tag, the digest or both."""

    host: str
    name: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, image: str | None) -> Reference | None:
        """What ``image`` means, in the way of a container runtime; None for what is no name of an image.

        A name without a host is one of Docker Hub, where a name of one part is one of ``library``.
        """
        match = _IMAGE.fullmatch(image or "")
        if match is None:
            return None
        host, name = (match["host"] or "docker.io").lower(), match["name"]
        name = f"library/{name}" if host == "docker.io" and "/" not in name else name
        return cls(host, name, match["tag"], match["digest"])

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as its registry holds it.

    ``digest`` is the one that it was asked for by, or that its tag holds. ``config`` is the digest of
    its configuration: equal ones are the same image, pushed twice or named by its index once. ``created``
    (UTC) is when it was built, None where it does not say; it was pushed no earlier.
    """

    digest: str
    config: str
    labels: Mapping[str, str]
    created: datetime | None = None


def claims_of(image: Image, keys: Sequence[str]) -> tuple[Evidence, ...]:
    """What the labels ``keys`` of ``image`` say, in that order."""
    return tuple(
        Evidence(carrier="image-label", key=key, value=image.labels[key])
        for key in keys
        if key in image.labels
    )


def claimed(revision: LiveRevision) -> str | None:
    """The commit that the deploy of ``revision`` named, by its label or else its image tag."""
    marks = (item for item in revision.evidence if item.carrier in ("revision-label", "image-tag"))
    return next((claim.id for claim in evidence.read(marks) if claim.id), None)


def running(revision: LiveRevision) -> Reference | None:
    """The image that ``revision`` is known to run: only a digest says so, a tag may have moved since."""
    reference = Reference.of(revision.image)
    if reference is None or reference.digest is None:
        return None
    return Reference(reference.host, reference.name, digest=reference.digest)


def named_after(revision: LiveRevision) -> Reference | None:
    """The tag that should hold the image of the commit that the deploy named; None without a commit.

    The tag that the image is named by, where that names the commit or a short form of it, else the commit.
    """
    reference, commit = Reference.of(revision.image), claimed(revision)
    if reference is None or commit is None:
        return None
    marks = evidence.read(item for item in revision.evidence if item.carrier == "image-tag")
    own = reference.tag if any(each.id and _same_commit(each.id, commit) for each in marks) else None
    return Reference(reference.host, reference.name, own or commit)


def suspects(live: Live) -> tuple[Reference, ...]:
    """Images of other revisions that seem to be second ones of a live commit; a look at them tells."""
    found = dict.fromkeys(
        image
        for one in live.revisions
        for other in _others(one, live)
        if (image := running(other)) and _same_commits(one, other) and image != running(one)
    )
    return tuple(found)[:MOST_SUSPECTS]


def findings(
    live: Live, images: Mapping[str, Image], tags: Mapping[Reference, Image], keys: Sequence[str]
) -> tuple[Finding, ...]:
    """What contradicts the commit that the deploy of a live revision named: each is ``evidence-conflict``.

    ``images`` are known by the digest, ``tags`` by ``named_after``; an image that is not among them was not
    read, and no answer is never a contradiction. Nothing is found about a revision whose image names that
    very commit under one of ``keys``: a tag that moved, or a second image, is a build of the same commit
    then. Whether one image under two commits matters is for the history to say: ``proving`` does.
    """
    doubted = [one for one in live.revisions if not _vouched(one, images, keys)]
    return (
        *(finding for one in doubted for finding in _tag_differs(one, images, tags)),
        *(
            finding
            for index, one in enumerate(doubted)
            for finding in _neighbours_differ(one, _others(one, live, told=doubted[:index]), images)
        ),
    )


def _vouched(revision: LiveRevision, images: Mapping[str, Image], keys: Sequence[str]) -> bool:
    """Whether the running image's own labels name the commit that the deploy named, and no other."""
    commit, image = claimed(revision), _image(revision, images)
    if commit is None or image is None:
        return False
    named = [claim.id for claim in evidence.read(claims_of(image, keys)) if claim.id]
    return bool(named) and all(_same_commit(each, commit) for each in named)


def _tag_differs(
    revision: LiveRevision, images: Mapping[str, Image], tags: Mapping[Reference, Image]
) -> Iterator[Finding]:
    reference, tag = running(revision), named_after(revision)
    if tag is None or tag not in tags:
        return
    tagged = tags[tag]
    if reference is not None:
        known = {tagged.digest: tagged, **images}
        if not _other_image(str(reference.digest), tagged.digest, known):
            return
    data: dict[str, str | int | float | bool | list[str] | None] = {
        "revision": revision.revision,
        "commit": claimed(revision),
        "tag": tag.tag,
        "running": reference.digest if reference else None,
        "tagged": tagged.digest,
    }
    name, commit = _called(revision), _brief(claimed(revision))
    if _built_after(tagged, revision.created_at):
        sentence = (
            f"{name} was deployed for the commit {commit} at {_time(revision.created_at)}, and the image "
            f"that the tag {tag.tag} holds was built at {_time(tagged.created)}, after that: an earlier "
            "image runs. Deploy again, after the push"
        )
        yield Finding(
            code="evidence-conflict", message=sentence, data={**data, "reason": "built-after-deploy"}
        )
    elif reference is not None:
        sentence = (
            f"{name} runs {_brief(reference.digest)}, and the tag {tag.tag}, which its commit gave the name, "
            f"holds {_brief(tagged.digest)}. Deploy the image of the tag by its digest"
        )
        yield Finding(
            code="evidence-conflict", message=sentence, data={**data, "reason": "tag-holds-another"}
        )


def _neighbours_differ(
    revision: LiveRevision, others: Sequence[LiveRevision], images: Mapping[str, Image]
) -> Iterator[Finding]:
    """One commit under two images, or one image under two commits, of which ``revision`` is one."""
    digest = _digest(revision)
    two_images = [
        other
        for other in others
        if _same_commits(revision, other) and _other_image(digest, _digest(other), images)
    ]
    two_commits = [
        other
        for other in others
        if not _same_commits(revision, other) and _same_image(digest, _digest(other), images)
    ]
    if two_images:
        sentence = (
            f"{_names([revision, *two_images])} name the same commit {_brief(claimed(revision))} and run "
            "different images; at most one of them is what was tested. Deploy one image of it by its digest"
        )
        yield _of_several("two-images", sentence, [revision, *two_images])
    if two_commits:
        sentence = (
            f"{_names([revision, *two_commits])} run the same image {_brief(digest)} under different "
            f"commits; at least one label is wrong. Build {_brief(claimed(revision))} and deploy it"
        )
        yield _of_several("two-commits", sentence, [revision, *two_commits])


def _of_several(reason: str, sentence: str, revisions: Sequence[LiveRevision]) -> Finding:
    data: dict[str, str | int | float | bool | list[str] | None] = {
        "revision": revisions[0].revision,
        "revisions": [_called(each) for each in revisions],
        "commits": [str(claimed(each)) for each in revisions],
        "digests": [_digest(each) for each in revisions],
        "reason": reason,
    }
    return Finding(code="evidence-conflict", message=sentence, data=data)


def _others(
    revision: LiveRevision, live: Live, told: Sequence[LiveRevision] = ()
) -> tuple[LiveRevision, ...]:
    """The revisions beside ``revision`` of which commit and digest are known, without those of ``told``."""
    if not claimed(revision) or not running(revision):
        return ()
    beside = (one for one in (*live.revisions, *live.others) if _comparable(one, revision))
    return tuple(one for one in beside if one not in told and claimed(one) and running(one))


def _comparable(one: LiveRevision, other: LiveRevision) -> bool:
    """Whether two should be one image where they name one commit: not two containers side by side."""
    if one is other or (one.container and one.revision == other.revision):
        return False
    names = [image.name for image in (running(one), running(other)) if image]
    return one.container == other.container or names == names[:1] * 2


def _image(revision: LiveRevision, images: Mapping[str, Image]) -> Image | None:
    return images.get(_digest(revision))


def _digest(revision: LiveRevision) -> str:
    reference = running(revision)
    return str(reference.digest) if reference else ""


def _same_image(one: str, other: str, images: Mapping[str, Image]) -> bool:
    """Whether two digests are known to mean one image."""
    return one == other or (one in images and other in images and images[one].config == images[other].config)


def _other_image(one: str, other: str, images: Mapping[str, Image]) -> bool:
    """Whether two digests are known to mean two images: of one that was not read nothing is known."""
    return one in images and other in images and not _same_image(one, other, images)


def _same_commits(one: LiveRevision, other: LiveRevision) -> bool:
    return _same_commit(str(claimed(one)), str(claimed(other)))


def _same_commit(one: str, other: str) -> bool:
    """Whether two ids can mean one commit: the shorter is how the longer one begins."""
    short, long = sorted((one, other), key=len)
    return len(short) >= _SHORTEST and long.startswith(short)


def _built_after(image: Image, moment: datetime | None) -> bool:
    if image.created is None or moment is None:
        return False
    return (image.created - moment).total_seconds() > SKEW_S


def _called(revision: LiveRevision) -> str:
    return revision.called or "the template"


def _names(revisions: Iterable[LiveRevision]) -> str:
    return " and ".join(_called(each) for each in revisions)


def _brief(text: str | None) -> str:
    """A commit or a digest, as short as people say it."""
    return str(text)[: 19 if str(text).startswith("sha256:") else 12]


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
