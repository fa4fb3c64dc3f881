"""What contradicts the commit that a deploy named, from values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.registries import KEY, NEW, NOON, OLD, live, reasons, revision

from drift_gate.evidence.image import (
    MOST_SUSPECTS,
    SKEW_S,
    Image,
    Reference,
    claimed,
    findings,
    named_after,
    running,
    suspects,
)
from drift_gate.facts import Evidence, Finding, LiveRevision

D1, D2, D3 = (f"sha256:{digit * 64}" for digit in "123")
REPOSITORY = "us-docker.pkg.dev/p/images/w"


def image(digest: str, label: str | None = None, **more: Any) -> Image:
    labels = {KEY: label} if label else {}
    settings: dict[str, Any] = {"config": f"config of {digest}", "labels": labels, **more}
    return Image(digest=digest, **settings)


def at(digest: str, **more: Any) -> LiveRevision:
    return revision(f"{REPOSITORY}@{digest}", **more)


def found(
    *revisions: LiveRevision,
    others: tuple[LiveRevision, ...] = (),
    images: Mapping[str, Image] | None = None,
    tag: Image | None = None,
    unread: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """What is found where the registry holds ``images``, and ``tag`` under each tag that is asked for.

    Every other digest has an image of its own and without a label; those of ``unread`` had no answer.
    """
    asked_for = filter(None, map(named_after, revisions))
    tags = dict.fromkeys(asked_for, tag) if tag else {}
    digests = {str(place.digest) for place in map(running, (*revisions, *others)) if place}
    read = {digest: image(digest) for digest in digests} | dict(images or {})
    read = {digest: each for digest, each in read.items() if digest not in unread}
    return findings(live(*revisions, others=others), read, tags, [KEY])


NAMES: list[tuple[str, Reference | None]] = [
    ("us-docker.pkg.dev/p/images/w:v1", Reference("us-docker.pkg.dev", "p/images/w", "v1")),
    (f"gcr.io/p/w@{D1}", Reference("gcr.io", "p/w", None, D1)),
    (f"gcr.io/p/w:v1@{D1}", Reference("gcr.io", "p/w", "v1", D1)),
    ("gcr.io/example.com/p/w", Reference("gcr.io", "example.com/p/w")),
    ("nginx", Reference("docker.io", "library/nginx")),
    ("nginx:1.27", Reference("docker.io", "library/nginx", "1.27")),
    ("team/w", Reference("docker.io", "team/w")),
    ("docker.io/nginx", Reference("docker.io", "library/nginx")),
    ("localhost/w", Reference("localhost", "w")),
    ("localhost:5000/w:a", Reference("localhost:5000", "w", "a")),
    ("registry:5000/w", Reference("registry:5000", "w")),
    ("127.0.0.1:5000/a/b__c-d.e", Reference("127.0.0.1:5000", "a/b__c-d.e")),
    ("GHCR.io/a/w", Reference("ghcr.io", "a/w")),
    ("", None),
    ("UPPER/case", None),
    ("a/../b", None),
    ("gcr.io/p/w@sha256:short", None),
    ("gcr.io/p/w@sha512:" + "1" * 128, None),
    ("gcr.io/p/w:" + "t" * 129, None),
    ("gcr.io/p/w?x=1", None),
    ("user:password@gcr.io/p/w", None),
    ("gcr.io/p/w\n", None),
    ("https://gcr.io/p/w", None),
]


@pytest.mark.parametrize(("text", "reference"), NAMES)
def test_a_name_is_read_as_a_container_runtime_reads_it(text: str, reference: Reference | None) -> None:
    assert Reference.of(text) == reference
    if reference and "/" in text and text == text.lower() and not text.startswith(("team", "docker")):
        assert str(reference) == text


def test_only_a_digest_says_what_runs() -> None:
    assert running(at(D1)) == Reference("us-docker.pkg.dev", "p/images/w", digest=D1)
    assert running(revision(f"{REPOSITORY}:{NEW}")) is None
    assert running(revision(None)) is None


def test_the_label_of_the_deploy_names_the_commit_before_its_tag_does() -> None:
    tag = Evidence(carrier="image-tag", key="w", value=OLD)
    assert claimed(revision(None, evidence=(tag,))) == OLD
    assert claimed(revision(None, evidence=(*revision(None).evidence, tag))) == NEW
    assert claimed(revision(None, evidence=(replace_value(tag, "latest"),))) is None
    assert claimed(revision(None, evidence=(Evidence(carrier="env", key="GIT_SHA", value=OLD),))) is None


def replace_value(item: Evidence, value: str) -> Evidence:
    return Evidence(carrier=item.carrier, key=item.key, value=value)


def test_the_tag_of_a_commit_is_its_own_in_any_words() -> None:
    """What the mark takes out of the tag is looked up by the whole tag."""
    mark = Evidence(carrier="image-tag", key="w", value=NEW[:7])
    described = revision(f"{REPOSITORY}:v1.4.2-12-g{NEW[:7]}@{D1}", evidence=(mark,))
    assert named_after(described) == Reference("us-docker.pkg.dev", "p/images/w", f"v1.4.2-12-g{NEW[:7]}")


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        (f":{NEW}", NEW),
        (f":{NEW[:12]}", NEW[:12]),
        (f":{NEW[:7]}", NEW[:7]),
        (":latest", NEW),
        (f":{OLD[:7]}", NEW),
        ("", NEW),
    ],
)
def test_the_tag_of_a_commit_is_its_own_or_the_commit(tag: str, wanted: str) -> None:
    assert named_after(revision(f"{REPOSITORY}{tag}@{D1}")) == Reference(
        "us-docker.pkg.dev", "p/images/w", wanted
    )


def test_without_a_commit_there_is_no_such_tag() -> None:
    assert named_after(at(D1, commit=None)) is None
    assert named_after(revision("no name of an image!")) is None


class TestTag:
    def test_one_that_holds_what_runs(self) -> None:
        assert found(at(D1), tag=image(D1)) == ()

    def test_one_that_holds_the_same_image_under_another_digest(self) -> None:
        """An index and its image, or one image pushed with two compressions, have one configuration."""
        images = {D1: image(D1, config="c")}
        assert found(at(D1), images=images, tag=image(D2, config="c")) == ()

    def test_one_that_holds_another(self) -> None:
        [finding] = found(at(D1), images={D1: image(D1)}, tag=image(D2))
        assert finding.code == "evidence-conflict"
        assert finding.data == {
            "revision": "w-00002",
            "commit": NEW,
            "tag": NEW,
            "running": D1,
            "tagged": D2,
            "reason": "tag-holds-another",
        }
        assert "w-00002 runs sha256:111111111111," in finding.message

    def test_one_whose_image_was_built_after_the_deploy(self) -> None:
        late = image(D2, created=NOON + timedelta(seconds=SKEW_S + 1))
        assert reasons(found(at(D1), tag=late)) == ["built-after-deploy"]
        assert reasons(found(revision(f"{REPOSITORY}:{NEW}"), tag=late)) == ["built-after-deploy"]

    def test_clocks_may_differ_a_little(self) -> None:
        built = image(D2, created=NOON + timedelta(seconds=SKEW_S))
        assert reasons(found(at(D1), tag=built)) == ["tag-holds-another"]
        assert found(revision(f"{REPOSITORY}:{NEW}"), tag=built) == ()

    def test_without_both_times_nothing_is_late(self) -> None:
        late = image(D2, created=NOON + timedelta(days=1))
        assert reasons(found(at(D1, created_at=None), tag=late)) == ["tag-holds-another"]
        assert found(revision(f"{REPOSITORY}:{NEW}"), tag=image(D2)) == ()

    def test_the_running_images_own_word_for_the_commit_settles_it(self) -> None:
        """A tag that moved to a second build of the same commit harms nobody."""
        late = image(D2, created=NOON + timedelta(days=1))
        assert found(at(D1), images={D1: image(D1, NEW)}, tag=late) == ()
        assert found(at(D1), images={D1: image(D1, NEW[:7])}, tag=late) == ()

    def test_an_image_that_was_not_read_contradicts_nothing(self) -> None:
        """It may carry the very label that settles it, or be the tag's image under another digest."""
        late = image(D2, created=NOON + timedelta(days=1))
        assert found(at(D1), tag=late, unread=(D1,)) == ()
        assert found(at(D2), tag=late, unread=(D2,)) == ()

    @pytest.mark.parametrize("label", [OLD, "latest", None])
    def test_any_other_word_does_not(self, label: str | None) -> None:
        assert len(found(at(D1), images={D1: image(D1, label)}, tag=image(D2, NEW))) == 1

    def test_two_words_that_differ_do_not(self) -> None:
        both = replace(image(D1), labels={"a": NEW, "b": OLD})
        tag = named_after(at(D1))
        assert tag
        told = findings(live(at(D1)), {D1: both}, {tag: image(D2)}, ["a", "b"])
        assert len(told) == 1


class TestNeighbours:
    def test_one_image_under_two_commits(self) -> None:
        [finding] = found(at(D1), others=(at(D1, commit=OLD, name="w-00001"), at(D2, commit=OLD, name="w-0")))
        assert finding.data == {
            "revision": "w-00002",
            "revisions": ["w-00002", "w-00001"],
            "commits": [NEW, OLD],
            "digests": [D1, D1],
            "reason": "two-commits",
        }
        assert finding.message.startswith("w-00002 and w-00001 run the same image sha256:111111111111 under")

    def test_one_commit_in_two_images(self) -> None:
        [finding] = found(at(D1), others=(at(D2, name="w-00001"), at(D3, name="w-00000"), at(D1, name="w-0")))
        assert finding.data["reason"] == "two-images"
        assert finding.data["revisions"] == ["w-00002", "w-00001", "w-00000"]

    def test_a_short_id_is_the_same_commit(self) -> None:
        assert found(at(D1), others=(at(D1, commit=NEW[:7], name="w-00001"),)) == ()
        assert reasons(found(at(D1), others=(at(D2, commit=NEW[:7]),))) == ["two-images"]

    def test_the_same_image_under_two_digests_is_one(self) -> None:
        images = {D1: image(D1, config="c"), D2: image(D2, config="c")}
        assert found(at(D1), others=(at(D2),), images=images) == ()
        assert reasons(found(at(D1), others=(at(D2, commit=OLD),), images=images)) == ["two-commits"]

    def test_what_the_running_image_says_itself_settles_it(self) -> None:
        others = (at(D2, name="w-00001"), at(D1, commit=OLD, name="w-00000"))
        assert found(at(D1), others=others, images={D1: image(D1, NEW)}) == ()

    def test_old_revisions_among_themselves_are_history(self) -> None:
        others = (at(D2, commit=OLD, name="w-1"), at(D3, commit=OLD, name="w-0"))
        assert found(at(D1), others=others) == ()

    def test_two_live_ones_are_told_once(self) -> None:
        assert reasons(found(at(D1), at(D2, name="w-00001"))) == ["two-images"]

    def test_a_live_one_that_is_vouched_for_does_not_hide_another_that_is_not(self) -> None:
        """Of two live revisions with one image only the one that its label names is right."""
        images = {D1: image(D1, NEW)}
        told = found(at(D1), at(D1, commit=OLD, name="w-00001"), images=images)
        assert reasons(told) == ["two-commits"]
        assert told[0].data["revision"] == "w-00001"

    @pytest.mark.parametrize("unread", [(D1,), (D2,), (D1, D2)])
    def test_an_image_that_was_not_read_is_no_second_one(self, unread: tuple[str, ...]) -> None:
        assert found(at(D1), others=(at(D2, name="w-00001"),), unread=unread) == ()
        assert found(at(D1), at(D2, name="w-00001"), unread=unread) == ()

    @pytest.mark.parametrize("unread", [(), (D1,)])
    def test_equal_digests_need_no_answer(self, unread: tuple[str, ...]) -> None:
        told = found(at(D1), others=(at(D1, commit=OLD, name="w-00001"),), unread=unread)
        assert reasons(told) == ["two-commits"]

    def test_what_is_not_known_contradicts_nothing(self) -> None:
        unknown = (
            at(D2, commit=None),
            revision(None, name="w-1"),
            revision(f"{REPOSITORY}:latest", name="w-0"),
        )
        assert found(at(D1), others=unknown) == ()
        assert found(revision(f"{REPOSITORY}:latest"), others=(at(D1),)) == ()


def test_only_images_that_may_be_second_ones_are_worth_a_look() -> None:
    others = (at(D1, name="w-1"), at(D2, commit=OLD, name="w-2"), at(D3, name="w-3"))
    assert [each.digest for each in suspects(live(at(D1), others=others))] == [D3]
    many = tuple(at(f"sha256:{number:064x}", name=f"w-{number}") for number in range(9))
    assert len(suspects(live(at(D1), others=many))) == MOST_SUSPECTS
