"""Links to the forge of a remote: right ones, or none."""

from __future__ import annotations

import pytest

from drift_gate.delivery.forge import Forge


@pytest.mark.parametrize(
    ("remote", "web"),
    [
        ("https://github.com/acme/predictions.git", "https://github.com/acme/predictions"),
        ("https://bot:hunter2@github.com/acme/predictions", "https://github.com/acme/predictions"),
        ("git@github.com:acme/predictions.git", "https://github.com/acme/predictions"),
        ("ssh://git@github.acme.dev:2222/a/b.git", "https://github.acme.dev/a/b"),
        (
            "https://gitlab.acme.dev:8443/group/sub/project.git/",
            "https://gitlab.acme.dev:8443/group/sub/project",
        ),
        ("git@bitbucket.org:acme/predictions.git", "https://bitbucket.org/acme/predictions"),
    ],
)
def test_a_known_forge_is_told_by_its_host(remote: str, web: str) -> None:
    forge = Forge.of(remote)
    assert forge is not None
    assert forge.web == web


@pytest.mark.parametrize(
    "remote",
    [
        "https://source.developers.google.com/p/example/r/predictions",
        "/srv/git/github.com/predictions.git",
        "https://mygithub.example.com/a/b",
        "file:///srv/github.git",
        "https://github.com/a b",
        "",
    ],
)
def test_any_other_gets_no_link(remote: str) -> None:
    assert Forge.of(remote) is None


def test_each_forge_has_its_own_paths() -> None:
    github, gitlab, bitbucket = (
        Forge.of(f"https://{host}/a/b") for host in ("github.com", "gitlab.com", "bitbucket.org")
    )
    assert github
    assert gitlab
    assert bitbucket
    assert github.commit("1f") == "https://github.com/a/b/commit/1f"
    assert github.compare("1f", "2e") == "https://github.com/a/b/compare/1f...2e"
    assert gitlab.compare("1f", "2e") == "https://gitlab.com/a/b/-/compare/1f...2e"
    assert bitbucket.compare("1f", "2e") == "https://bitbucket.org/a/b/branches/compare/2e%0D1f#diff"
