"""Policies that say more than a count: which rule wins, and what each denial names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from support.heavy import light
from support.world import WORKER, World, codes

from drift_gate.policy.verdict import Verdict
from drift_gate.testing.history import File

RULES = """
grace_period = "30m"
max_commits_behind = 2
max_drift_age = "off"
deny_paths = ["/shared/"]
warn_paths = ["/predictions/worker/model/"]
deny_subjects = ["^(fix|hotfix)"]
"""
#: Minutes since it landed, subject, path.
Change = tuple[int, str, str]
CODE, SHARED, MODEL, DOCS = (
    "predictions/worker/a.py",
    "shared/odds.py",
    "predictions/worker/model/m.py",
    "docs/shared/x.txt",
)

# the missing commits, oldest first → decision, codes worst first
TABLE: list[tuple[str, list[Change], str, list[str]]] = [
    ("young and harmless", [(5, "tidy", CODE)], "warn", ["behind-within-limit", "within-grace"]),
    ("young, though a fix", [(5, "fix odds", CODE)], "warn", ["behind-within-limit", "within-grace"]),
    ("young, though in shared", [(5, "tidy", SHARED)], "warn", ["behind-within-limit", "within-grace"]),
    (
        "many, all young",
        [(9 - n, "tidy", CODE) for n in range(9)],
        "warn",
        ["behind-within-limit", "within-grace"],
    ),
    ("old and harmless", [(60, "tidy", CODE)], "warn", ["behind-within-limit"]),
    ("one old in shared", [(60, "tidy", SHARED)], "deny", ["deny-path", "behind-within-limit"]),
    ("one old fix", [(60, "hotfix: odds", CODE)], "deny", ["deny-subject", "behind-within-limit"]),
    (
        "an old fix in shared",
        [(60, "fix", SHARED)],
        "deny",
        ["deny-path", "deny-subject", "behind-within-limit"],
    ),
    ("'prefix' is no fix", [(60, "prefix names", CODE)], "warn", ["behind-within-limit"]),
    ("one old in the model", [(60, "tidy", MODEL)], "warn", ["behind-within-limit", "warn-path"]),
    ("an old fix that is not relevant", [(60, "fix docs", DOCS)], "allow", ["content-identical"]),
    (
        "two old, two young",
        [(60, "a", CODE), (50, "b", CODE), (5, "c", CODE), (4, "d", CODE)],
        "warn",
        ["behind-within-limit", "within-grace"],
    ),
    (
        "three old, one young",
        [(60, "a", CODE), (50, "b", CODE), (40, "c", CODE), (4, "d", CODE)],
        "deny",
        ["too-many-commits-behind", "within-grace"],
    ),
]


def judged(world: World, changes: list[Change], rules: str = RULES) -> tuple[Verdict, list[str]]:
    world.toml = world.toml.replace('ignore = ["*.md"]', 'ignore = ["*.md", "/docs/"]') + rules
    world.cloud.deploy(WORKER, commit=world.first)
    now = datetime.now(UTC)
    shas = [
        world.history.commit({path: f"{number}"}, subject=subject, when=now - timedelta(minutes=minutes))
        for number, (minutes, subject, path) in enumerate(changes)
    ]
    return world.verdict(), shas


#: What each rule says of what is young, what it says of what is old, and several of each.
KEPT = {
    *(
        "young and harmless",
        "young, though a fix",
        "one old in shared",
        "one old fix",
        "one old in the model",
    ),
    *("an old fix that is not relevant", "three old, one young"),
}


@pytest.mark.parametrize(
    ("changes", "decision", "expected"),
    light([row[1:] for row in TABLE], [row[1:] for row in TABLE if row[0] in KEPT]),
    ids=[row[0] for row in TABLE],
)
def test_precedence(world: World, changes: list[Change], decision: str, expected: list[str]) -> None:
    """The grace period first; then any single match; then the count of what is older."""
    verdict, _ = judged(world, changes)
    assert (verdict.decision, codes(verdict)) == (decision, expected)
    assert verdict.report.commits_behind == (0 if expected == ["content-identical"] else len(changes))


@pytest.mark.parametrize(
    ("pattern", "decision"),
    [
        ("/shared/lib/", "deny"),
        ("/shared/lib/odds/", "deny"),
        ("*.py", "deny"),
        ("/shared/lib/*.py", "deny"),
        ("/shared/other/", "warn"),
        ("/shared/lib.py", "warn"),
    ],
)
@pytest.mark.parametrize("by", ["patterns", "dockerfile"])
def test_a_submodule_is_a_folder_of_which_nothing_is_known(
    world: World, pattern: str, decision: str, by: str
) -> None:
    """The next commit of it may change whatever a pattern matches inside of it."""
    if by == "dockerfile":
        world.history.commit({"Dockerfile": "FROM python\nCOPY . .\nCMD python worker.py\n", "worker.py": ""})
        world.toml = re.sub("^paths = .*$", 'dockerfile = "Dockerfile"', world.toml, flags=re.MULTILINE)
    world.first = world.history.commit({"shared/lib": File("a" * 40, "160000")})
    world.toml += f"deny_paths = ['{pattern}']\n"
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.commit({"shared/lib": File("b" * 40, "160000")})
    verdict = world.verdict()
    assert verdict.decision == decision
    assert ("deny-path" in codes(verdict)) is (decision == "deny")


def test_a_denial_names_the_commit_and_the_rule(world: World) -> None:
    """The oldest that matches, the pattern, the path, and how many more."""
    verdict, shas = judged(world, [(90, "odds", SHARED), (80, "odds again", SHARED)])
    (reason,) = [each for each in verdict.reasons if each.code == "deny-path"]
    assert reason.data["commit"] == shas[0]
    assert (reason.data["rule"], reason.data["matched"], reason.data["commits"]) == ("/shared/", SHARED, 2)
    assert shas[0][:12] in reason.message
    assert "/shared/" in reason.message


def test_a_branch_is_young_by_its_landing(world: World) -> None:
    """A fix written last week and merged five minutes ago is within the grace."""
    now = datetime.now(UTC)
    history = world.history
    world.cloud.deploy(WORKER, commit=world.first)
    history.branch("fix", world.first)
    history.commit({CODE: "1"}, branch="fix", subject="fix", when=now - timedelta(minutes=50))
    world.change("docs/readme.md")
    history.merge("fix", into="main", when=now - timedelta(minutes=5))
    world.toml += RULES
    assert codes(world.verdict()) == ["behind-within-limit", "within-grace"]


def test_a_service_overrides_the_policy(world: World) -> None:
    """What stands in the service's own table wins over [policy]."""
    world.toml = '[policy]\ndeny_subjects = ["^fix"]\n' + world.toml + "deny_subjects = []\n"
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.commit({CODE: "1"}, subject="fix it")
    assert codes(world.verdict()) == ["behind-within-limit"]


def test_the_grace_period_wins_over_the_age_limit_too(world: World) -> None:
    """An age limit shorter than the grace period denies nothing that the grace covers."""
    rules = 'grace_period = "2h"\nmax_drift_age = "30m"\n'
    verdict, _ = judged(world, [(50, "tidy", CODE)], rules)
    assert (verdict.decision, codes(verdict)) == ("warn", ["behind-within-limit", "within-grace"])
