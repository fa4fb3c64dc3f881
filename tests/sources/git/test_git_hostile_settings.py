"""Nothing that a user, or a repository, has set changes what git tells the gate.

Each case is held against the clean answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.process import Git
from drift_gate.testing import File, HistoryBuilder

SETTINGS = {
    "log.showSignature": "true",
    "log.showRoot": "false",
    "log.diffMerges": "off",
    "log.follow": "true",
    "log.mailmap": "true",
    "log.decorate": "full",
    "log.abbrevCommit": "true",
    "log.date": "relative",
    "log.excludeDecoration": "*",
    "format.pretty": "oneline",
    "format.notes": "*",
    "notes.displayRef": "refs/notes/*",
    "diff.renames": "copies",
    "diff.relative": "true",
    "diff.orderFile": "no-such-file",
    "diff.ignoreSubmodules": "all",
    "diff.submodule": "log",
    "diff.external": "false",
    "diff.noprefix": "true",
    "diff.algorithm": "patience",
    "diff.statNameWidth": "3",
    "color.ui": "always",
    "color.diff": "always",
    "core.quotePath": "true",
    "core.abbrev": "7",
    "core.pager": "false",
    "core.attributesFile": "no-such-file",
    "core.fsmonitor": "false-program",
    "core.warnAmbiguousRefs": "true",
    "i18n.logOutputEncoding": "UTF-16",
    "i18n.commitEncoding": "ISO-8859-1",
    "pager.log": "true",
    "alias.log": "!false",
    "safe.bareRepository": "explicit",
    "core.logAllRefUpdates": "always",
    "core.disambiguate": "blob",
}
VARIABLES = {
    "GIT_DIR": "/nowhere",
    "GIT_WORK_TREE": "/nowhere",
    "GIT_COMMON_DIR": "/nowhere",
    "GIT_INDEX_FILE": "/nowhere",
    "GIT_OBJECT_DIRECTORY": "/nowhere",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nowhere",
    "GIT_NAMESPACE": "other",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_SHALLOW_FILE": "/nowhere",
    "GIT_GRAFT_FILE": "/nowhere",
    "GIT_REPLACE_REF_BASE": "refs/heads/",
    "GIT_NO_REPLACE_OBJECTS": "",
    "GIT_EXTERNAL_DIFF": "false",
    "GIT_DIFF_OPTS": "-u9",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_GLOB_PATHSPECS": "1",
    "GIT_CONFIG": "/nowhere",
    "GIT_CONFIG_PARAMETERS": "garbage",
    "GIT_EXEC_PATH": "/nowhere",
    "GIT_PAGER": "false",
    "GIT_TRACE": "1",
    "GIT_TRACE2": "1",
    "GIT_NOTES_REF": "refs/notes/other",
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_PREFIX": "docs/",
    "GIT_QUARANTINE_PATH": "/nowhere",
    "LC_ALL": "de_DE.UTF-8",
    "LANGUAGE": "de",
}


@pytest.fixture(scope="module")
def h(tmp_path_factory: pytest.TempPathFactory) -> HistoryBuilder:
    h = HistoryBuilder(tmp_path_factory.mktemp("hostile") / "repo")
    files = {"ü\n'": "1", "docs/a": "long enough to be a rename\n" * 9, ".mailmap": "Eve <ada@example.com>\n"}
    base = h.commit(
        {**files, ".gitmodules": '[submodule "s"]\npath = s\nurl = x\nignore = all\n'}, author="Zoë"
    )
    h.rename("docs/a", "docs/b")
    h.commit({"s": File("a" * 40, "160000")}, subject="sübmodule")
    h.commit({"s": File("b" * 40, "160000")}, subject="submodule moved")
    h.branch("base", base)
    h.branch("f", base)
    h.commit({"f": "1"}, branch="f")
    h.commit({"r": "1"}, branch="o", parents=[], subject="root")
    h.merge("o", into="f", take="ours")
    h.merge("f", files={"evil": "1"}, subject="evil")
    h.check_out("main")
    h.git("notes", "add", "-m", "a note", "main")
    return h


def everything(h: HistoryBuilder, environ: Mapping[str, str]) -> list[Any]:
    """All that the gate asks of a history."""
    git = Git(cwd=str(h.path), git_dir=str(h.path / ".git"), environ=environ, deadline=Deadline(60))
    history = GitHistory(git=git, shallow=False, id_length=40)
    base, tip = h.tip("base"), h.tip("main")
    return [
        list(history.walk([base, tip])),
        history.files([base, tip]),
        history.resolve([base[:7], tip, "1" * 40]),
        *(
            history.difference(base, tip, ["docs/a", "docs/b", "s", "ü\n'"], summary=summary, limit=1 << 20)
            for summary in (False, True)
        ),
    ]


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


@pytest.mark.parametrize("where", ["home", "repository", "variables"])
def test_settings_change_nothing(h: HistoryBuilder, tmp_path: Path, where: str) -> None:
    """All at once, wherever they stand; since one may hide another, the next test takes them singly."""
    clean = everything(h, environment(tmp_path))
    assert {each.subject: set(each.paths) for each in clean[0]} == {
        "Move docs/a": {"docs/a", "docs/b"},
        "sübmodule": {"s"},
        "submodule moved": {"s"},  # although .gitmodules says `ignore = all`
        "a change": {"f"},
        "root": {"r"},
        "a merge": set(),
        "evil": {"evil"},
    }
    before = {"ü\n'", ".mailmap", ".gitmodules"}
    assert [set(tree) for tree in clean[1].values()] == [
        {*before, "docs/a"},
        {*before, "docs/b", "s", "f", "evil"},  # the root `r` was merged without its file
    ]
    with_settings(h, tmp_path, where, SETTINGS, lambda environ: assert_same(h, environ, clean))


@pytest.mark.heavy
@pytest.mark.parametrize("key", SETTINGS)
def test_each_setting_alone_changes_nothing(h: HistoryBuilder, tmp_path: Path, key: str) -> None:
    clean = everything(h, environment(tmp_path))
    with_settings(h, tmp_path, "home", {key: SETTINGS[key]}, lambda environ: assert_same(h, environ, clean))


def assert_same(h: HistoryBuilder, environ: Mapping[str, str], clean: list[Any]) -> None:
    assert everything(h, environ) == clean


def with_settings(
    h: HistoryBuilder,
    home: Path,
    where: str,
    settings: Mapping[str, str],
    check: Callable[[Mapping[str, str]], None],
) -> None:
    """``check`` while ``settings`` stand in the user's file, in the repository's, or in the environment."""
    environ = environment(home)
    if where == "variables":
        environ["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            environ |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return check(environ)
    file = home / ".gitconfig" if where == "home" else h.path / ".git" / "config"
    before = file.read_text() if file.exists() else ""
    lines = (f"[{key.split('.')[0]}]\n{key.split('.')[1]} = {value!r}\n" for key, value in settings.items())
    try:
        file.write_text(before + "".join(lines).replace("'", '"'))
        check(environ)
    finally:
        file.write_text(before)
    return None


def test_git_variables_change_nothing(h: HistoryBuilder, tmp_path: Path) -> None:
    clean = everything(h, environment(tmp_path))
    assert everything(h, {**environment(tmp_path), **VARIABLES}) == clean


@pytest.mark.heavy
@pytest.mark.parametrize("name", VARIABLES)
def test_each_git_variable_alone_changes_nothing(h: HistoryBuilder, tmp_path: Path, name: str) -> None:
    clean = everything(h, environment(tmp_path))
    assert everything(h, {**environment(tmp_path), name: VARIABLES[name]}) == clean


def test_replace_refs_grafts_attributes_and_hooks_change_nothing(h: HistoryBuilder, tmp_path: Path) -> None:
    clean = everything(h, environment(tmp_path))
    tip = h.tip("main")
    h.git("replace", "--graft", f"{tip}~1")
    (h.path / ".git/info").mkdir(exist_ok=True)
    (h.path / ".git/info/grafts").write_text(f"{tip}\n")
    (h.path / ".git/info/attributes").write_text("* -diff binary\n")
    assert h.git("rev-list", "--count", tip) == "1", "the graft is in force for plain git"
    # What is shown to people heeds an attribute of theirs: such a file is named as one that differs.
    assert everything(h, environment(tmp_path))[:3] == clean[:3]
