"""The addresses of repositories, and the pages of commits that they lead to."""

from __future__ import annotations

import pytest

from drift_gate.presentation.forge import Forge

OLD, NEW = "1" * 40, "2" * 40


@pytest.mark.parametrize(
    ("address", "commit", "compare"),
    [
        (
            "https://github.com/acme/predictions",
            f"https://github.com/acme/predictions/commit/{NEW}",
            f"https://github.com/acme/predictions/compare/{OLD}...{NEW}",
        ),
        (
            "git@gitlab.com:acme/sports/predictions.git",
            f"https://gitlab.com/acme/sports/predictions/-/commit/{NEW}",
            f"https://gitlab.com/acme/sports/predictions/-/compare/{OLD}...{NEW}",
        ),
        (
            "ssh://git@bitbucket.org/acme/predictions.git",
            f"https://bitbucket.org/acme/predictions/commits/{NEW}",
            f"https://bitbucket.org/acme/predictions/branches/compare/{NEW}..{OLD}",
        ),
    ],
)
def test_a_forge_has_a_page_for_a_commit_and_for_two(address: str, commit: str, compare: str) -> None:
    forge = Forge.of(address)
    assert forge is not None
    assert (forge.commit(NEW), forge.compare(OLD, NEW)) == (commit, compare)


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/predictions.git",
        "https://github.com/acme/predictions/",
        "https://x-access-token:secret@github.com/acme/predictions",
        "git@github.com:acme/predictions.git",
        "git@github.com:/acme/predictions",
        "ssh://git@ssh.github.com:443/acme/predictions.git",
        "git://GitHub.com/acme/predictions",
    ],
)
def test_each_way_to_write_an_address_leads_to_the_same_page_and_holds_no_secret(address: str) -> None:
    assert Forge.of(address) == Forge("github", "https://github.com/acme/predictions")


def test_a_host_of_ones_own_is_known_by_its_name() -> None:
    assert Forge.of("git@gitlab.example.com:a/b.git") == Forge("gitlab", "https://gitlab.example.com/a/b")
    assert Forge.of("https://github.example.com/a/b") == Forge("github", "https://github.example.com/a/b")


@pytest.mark.parametrize(
    "address",
    [
        ".",
        "/srv/predictions",
        "file:///srv/github.com/acme/predictions",
        "https://example.com/acme/predictions",
        "https://github.com/acme",
        "https://github.com/acme/predictions/tree/main",
        'https://github.com/acme/"><script>',
        "javascript://github.com/acme/predictions",
        "https://github.com.example.net@evil/a/b?x",
    ],
)
def test_what_is_no_forge_has_no_page(address: str) -> None:
    assert Forge.of(address) is None


@pytest.mark.parametrize("sha", ["", "main", "123456", "1" * 65, f"{'1' * 7}'", "unknown"])
def test_what_is_no_commit_has_no_page(sha: str) -> None:
    forge = Forge("github", "https://github.com/a/b")
    assert forge.commit(sha) is None
    assert forge.compare(OLD, sha) is None
