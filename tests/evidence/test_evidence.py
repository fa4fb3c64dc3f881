"""Which commit a revision was built from: a table of claims, what the history knows, what is right."""

from __future__ import annotations

import pytest

from drift_gate.evidence import marks
from drift_gate.facts import Evidence, LiveRevision, Unknown

A, B = "a" * 40, "b" * 40
GONE = "c" * 40
NOWHERE = Unknown(cause="commit-not-in-history", message="not in this history")
FITS_TWO = Unknown(cause="ambiguous-commit", message="fits two commits")
CUT = Unknown(cause="shallow-history", message="behind the cut")

HISTORY: dict[str, str | Unknown] = {
    A: A,
    B: B,
    "aaaaaaa": A,
    "bbbbbbb": B,
    "abcdef0": FITS_TWO,
    "aaaaaaaa": FITS_TWO,
    "0ddba11": CUT,
}


def label(value: str, key: str = "commit-sha") -> Evidence:
    return Evidence(carrier="revision-label", key=key, value=value)


def tag(value: str) -> Evidence:
    return Evidence(carrier="image-tag", key="r/worker", value=value)


def env(value: str, key: str = "GIT_SHA") -> Evidence:
    return Evidence(carrier="env", key=key, value=value)


def image(value: str) -> Evidence:
    return Evidence(carrier="image-label", key="org.opencontainers.image.revision", value=value)


def health(value: str) -> Evidence:
    return Evidence(carrier="health", key="commit", value=value)


# claims, the commit or the cause, the findings
TABLE: list[tuple[str, list[Evidence], str, list[str]]] = [
    ("a full label decides", [label(A)], A, []),
    ("upper case and space do not matter", [label(f" {A.upper()} ")], A, []),
    ("a short label is resolved", [label("aaaaaaa")], A, []),
    ("a label that agrees with the tag", [label(A), tag(A)], A, []),
    ("a short tag that means the same commit is no conflict", [label(A), tag("aaaaaaa")], A, []),
    ("label and tag name two commits", [label(A), tag(B)], A, ["evidence-conflict"]),
    ("two labels name two commits", [label(A), label(B, "git-sha")], A, ["evidence-conflict"]),
    ("label and image label name two commits", [label(B), image(A)], A, ["evidence-conflict"]),
    ("label and a tag of a commit nobody has", [label(A), tag(GONE)], A, ["evidence-conflict"]),
    ("a date is hex too and names nothing", [label(A), tag("20260205")], A, []),
    ("the worker's bare word disagrees", [label(A), health(B)], A, ["weak-evidence-disagrees"]),
    ("the worker's bare word agrees", [label(A), health("aaaaaaa")], A, []),
    ("the worker's bare word alone", [health(A)], A, []),
    ("a date alone is no evidence", [tag("20260205")], "no-commit-evidence", []),
    ("latest names nothing", [tag("latest")], "no-commit-evidence", []),
    ("a branch name names nothing", [label("main")], "no-commit-evidence", []),
    ("an option names nothing", [label("--output=pwned")], "no-commit-evidence", []),
    ("'unknown' names nothing", [label("unknown")], "no-commit-evidence", []),
    ("no claims at all", [], "no-commit-evidence", []),
    ("a full label that was force-pushed away", [label(GONE)], "commit-not-in-history", []),
    ("… is the answer, whatever is weaker", [label(GONE), env(A)], "commit-not-in-history", []),
    ("a full variable that does not resolve", [env(GONE)], "commit-not-in-history", []),
    ("an inherited image label is passed over", [image(GONE), label(A)], A, []),
    ("an image label alone that does not resolve", [image(GONE)], "no-commit-evidence", []),
    # A short id used to be passed over, so that a left-over variable could make an unknown build current.
    (
        "a short label that nobody has",
        [label("abc1234"), tag("abc1234"), env(A)],
        "commit-not-in-history",
        [],
    ),
    ("… whatever tag is weaker", [label("abc1234"), tag(A)], "commit-not-in-history", []),
    ("a short tag that nobody has", [tag("abc1234f"), env(A)], "commit-not-in-history", []),
    ("a short variable that nobody has", [env("abc1234"), health(A)], "commit-not-in-history", []),
    ("… under the first of its keys", [env("abc1234"), env(A, "COMMIT_SHA")], "commit-not-in-history", []),
    ("a short tag that nobody has below a label", [label(A), tag("abc1234")], A, []),
    (
        "a dirty short label that nobody has",
        [label("abc1234-dirty"), env(A)],
        "commit-not-in-history",
        ["dirty-build"],
    ),
    ("a number in a label is a build's: ask the next", [label("1234567"), tag(A)], A, []),
    ("what docker/metadata-action writes", [tag("sha-aaaaaaa")], A, []),
    ("… of another commit than the label", [label(A), tag(f"sha-{B}")], A, ["evidence-conflict"]),
    ("… of a commit that nobody has", [tag("sha-abc1234"), env(A)], "commit-not-in-history", []),
    ("a label has no such prefix", [label("sha-aaaaaaa")], "no-commit-evidence", []),
    ("a date as tag: ask the next", [tag("20260205"), env(A)], A, []),
    ("a short id behind the cut is not outvoted", [label("0ddba11"), env(A)], "shallow-history", []),
    ("the tag where there is no label", [tag(A)], A, []),
    ("the variable where there is nothing else", [env(A)], A, []),
    ("only a variable disagrees", [label(A), env(B)], A, ["weak-evidence-disagrees"]),
    ("a variable of a commit nobody has", [label(A), env(GONE)], A, ["weak-evidence-disagrees"]),
    ("two variables disagree", [env(A), env(B, "COMMIT_SHA")], A, ["weak-evidence-disagrees"]),
    ("a short id that fits two commits", [label("abcdef0")], "ambiguous-commit", []),
    ("… is settled by a stronger fit", [label("aaaaaaaa"), tag(A)], A, []),
    ("… and not by a commit that it cannot mean", [label("abcdef0"), env(A)], "ambiguous-commit", []),
    ("a short id behind the cut of a shallow clone", [label("0ddba11")], "shallow-history", []),
    ("a dirty mark on the label", [label(f"{A}-dirty")], A, ["dirty-build"]),
    ("a dirty mark on a short tag", [tag("aaaaaaa-dirty")], A, ["dirty-build"]),
    ("a dirty mark on the variable that decides", [env(f"{A}-dirty")], A, ["dirty-build"]),
    ("a dirty mark on a stale variable", [label(A), env(f"{B}-dirty")], A, ["weak-evidence-disagrees"]),
    ("the order of the claims does not matter", [env(B), tag(A), label(A)], A, ["weak-evidence-disagrees"]),
]


@pytest.mark.parametrize(
    ("claims", "expected", "codes"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_claims_are_weighed_by_strength(claims: list[Evidence], expected: str, codes: list[str]) -> None:
    """Each row: the strongest claim that counts decides, and what contradicts it is said."""
    resolved = {each: HISTORY.get(each, NOWHERE) for each in marks.ids(claims)}
    weighed = marks.weigh(LiveRevision(revision="w-1", percent=100, evidence=tuple(claims)), resolved)
    outcome = weighed.commit.cause if isinstance(weighed.commit, Unknown) else weighed.commit
    assert (outcome, [finding.code for finding in weighed.findings]) == (expected, codes)


def test_values_that_are_no_commit_id_never_reach_the_history() -> None:
    """A label such as ``--output=pwned`` is never handed to git."""
    claims = [label("--output=pwned"), tag("v1.2.3"), env("main"), label("abc123"), label("a" * 65)]
    assert marks.ids(claims) == set()


def test_no_commit_evidence_says_what_was_found() -> None:
    """Whoever has to mend it sees the values that name nothing."""
    weighed = marks.weigh(LiveRevision(revision="w", percent=100, evidence=(tag("latest"),)), {})
    assert isinstance(weighed.commit, Unknown)
    assert "image-tag r/worker=latest" in weighed.commit.message


def test_an_unreadable_revision_keeps_its_own_cause() -> None:
    """Evidence cannot turn a revision that was not read into a known one."""
    unknown = Unknown(cause="permission-denied", message="no")
    weighed = marks.weigh(LiveRevision(revision="w", percent=50, unknown=unknown), {})
    assert weighed.commit == unknown


def test_the_services_own_label_is_a_hint_only() -> None:
    """It is named when it disagrees with every live commit, and never counts as evidence."""
    claims = [Evidence(carrier="service-label", key="commit-sha", value=B)]
    (finding,) = marks.disagreeing_service_claims(claims, [A], HISTORY)
    assert finding.code == "service-label-disagrees"
    assert marks.disagreeing_service_claims(claims, [A, B], HISTORY) == ()
    assert marks.disagreeing_service_claims(claims, [], HISTORY) == ()


def test_a_service_label_of_a_commit_that_nobody_has_disagrees_too() -> None:
    """Its full id is another one than that of what serves, whether or not it can be resolved."""
    claims = [Evidence(carrier="service-label", key="commit-sha", value=GONE)]
    (finding,) = marks.disagreeing_service_claims(claims, [A], {GONE: NOWHERE})
    assert finding.code == "service-label-disagrees"
