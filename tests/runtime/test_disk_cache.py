"""The cache on disk gives back what was put into it, or nothing; it is in nobody's way."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.damage import BY_CHANCE, DAMAGES, Damage, a_folder

from drift_gate.errors import SourceError
from drift_gate.runtime import disk_cache
from drift_gate.runtime.disk_cache import FILE_NAME, LONGEST, DiskCache

V1, V2 = b"one version", b"another"
ENTRIES = {f"key {number}": f"value {number} ".encode() * 40 for number in range(200)}


def filled(folder: Path, entries: Mapping[str, bytes] = ENTRIES, version: bytes = V1) -> Path:
    with DiskCache(folder, version) as cache:
        for key, value in entries.items():
            cache.put("kind", key, value)
    return folder


def told(folder: Path, version: bytes = V1) -> dict[str, bytes]:
    with DiskCache(folder, version) as cache:
        return cache.get("kind", ENTRIES.keys() | {"unheard of"})


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_what_was_put_is_there_for_the_next_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from drift_gate.runtime.disk_cache import DiskCache\n"
        f"with DiskCache(Path(sys.argv[1]), {V1!r}) as cache: cache.put('kind', 'key 0', b'from elsewhere')"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "new" / "folder"], check=True)
    assert told(tmp_path / "new" / "folder") == {"key 0": b"from elsewhere"}


def test_who_tells_the_folder_is_asked_with_the_first_key_and_may_fail(tmp_path: Path) -> None:
    def nowhere() -> Path:
        raise SourceError("there is no such repository", "history-unavailable")

    with DiskCache(nowhere, V1) as cache:
        assert cache.get("kind", []) == {}
        with pytest.raises(SourceError, match="no such repository"):
            cache.get("kind", ["key 0"])
    filled(tmp_path)
    with DiskCache(lambda: tmp_path, V1) as cache:
        assert cache.get("kind", ["key 0"]) == {"key 0": ENTRIES["key 0"]}


def test_what_was_put_is_there_before_it_is_written(tmp_path: Path) -> None:
    with DiskCache(tmp_path, V1) as cache:
        cache.put("kind", "key", b"\0\xff")
        assert cache.get("kind", ["key"]) == {"key": b"\0\xff"}
        assert cache.get("another kind", ["key"]) == {}


def test_a_process_that_is_killed_loses_the_last_few_only(tmp_path: Path) -> None:
    """What is long finished is on disk, whatever becomes of the process: the next one goes on from there."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from drift_gate.runtime.disk_cache import DiskCache\n"
        f"cache = DiskCache(Path(sys.argv[1]), {V1!r})\n"
        "for number in range(200): cache.put('kind', f'key {number}', b'finished')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert killed.returncode < 0
    assert set(told(tmp_path).values()) == {b"finished"}
    assert len(told(tmp_path)) >= 200 - disk_cache._TOGETHER


def test_what_another_version_has_written_is_not_found(tmp_path: Path) -> None:
    filled(tmp_path, version=V1)
    assert told(tmp_path, V2) == {}
    filled(tmp_path, {"key 0": b"new"}, version=V2)
    assert told(tmp_path, V2) == {"key 0": b"new"}
    assert told(tmp_path, V1) == ENTRIES


def test_without_a_version_nothing_is_kept(tmp_path: Path) -> None:
    with DiskCache(tmp_path / "folder", None) as cache:
        cache.put("kind", "key", b"value")
        assert cache.get("kind", ["key"]) == {}
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("damage", "seed"), [(each, seed) for each in DAMAGES for seed in range(12 if each in BY_CHANCE else 1)]
)
def test_a_damaged_file_gives_what_was_put_or_nothing_and_is_made_anew(
    tmp_path: Path, damage: Damage, seed: int
) -> None:
    folder = filled(tmp_path / "learned")
    damage(folder, random.Random(seed))  # noqa: S311 - the same damage each time
    found = told(folder)
    assert found == {key: ENTRIES[key] for key in found}
    filled(folder)  # may still meet the damage, and then removes it
    filled(folder)
    assert told(folder) == ({} if damage is a_folder else ENTRIES)


@given(st.dictionaries(st.text(), st.binary(max_size=50), max_size=30), st.binary(min_size=1, max_size=64))
def test_any_keys_and_values_come_back(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, bytes], version: bytes
) -> None:
    folder = filled(tmp_path_factory.mktemp("cache") / "learned", entries, version)
    with DiskCache(folder, version) as cache:
        assert cache.get("kind", entries.keys()) == entries


def test_the_file_is_this_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = filled(tmp_path / "learned")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    folder = filled(tmp_path / "learned")
    (folder / FILE_NAME).chmod(mode)
    assert told(folder) == {}


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_file_in_a_folder_that_others_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    folder = filled(tmp_path / "learned")
    folder.chmod(mode)
    assert told(folder) == {}


def test_a_file_of_another_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = filled(tmp_path / "learned")
    before = (folder / FILE_NAME).read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert told(folder) == {}
    filled(folder)
    assert (folder / FILE_NAME).read_bytes() == before


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """It could make the gate read, or write to, any file of its user's."""
    folder = filled(tmp_path / "learned")
    (folder / FILE_NAME).rename(tmp_path / "elsewhere")
    (folder / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    assert told(folder) == {}
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert told(folder) == {}


def test_a_folder_that_cannot_be_made_is_no_cache_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert told(filled(tmp_path / "file" / "learned")) == {}


def test_a_file_that_cannot_be_written_is_still_read(tmp_path: Path) -> None:
    """As in an image whose disk is read-only. Here the bound is what keeps it from being written."""
    folder = filled(tmp_path / "learned")
    with closing(sqlite3.connect(folder / FILE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        filled(folder, {"key 0": b"new"})
        assert told(folder) == ENTRIES
        other.execute("ROLLBACK")


def test_a_locked_file_is_not_waited_for(tmp_path: Path) -> None:
    """The lock is held all the time, so whoever comes back has not waited for it."""
    folder = filled(tmp_path / "learned")
    with closing(sqlite3.connect(folder / FILE_NAME)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert told(folder) == {}
        filled(folder, {"key 0": b"new"})
        other.execute("ROLLBACK")
    assert told(folder) == ENTRIES


def test_the_file_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    most = 2_000_000
    value = os.urandom(5_000)
    for batch in range(20):
        with DiskCache(tmp_path, V1, most=most) as cache:
            for number in range(50):
                cache.put("kind", f"{batch} {number}", value)
        assert (tmp_path / FILE_NAME).stat().st_size <= most
    with DiskCache(tmp_path, V1, most=most) as cache:
        assert not cache.get("kind", [f"0 {number}" for number in range(50)])
        assert len(cache.get("kind", [f"19 {number}" for number in range(50)])) == 50


def test_a_value_that_is_too_long_is_not_kept(tmp_path: Path) -> None:
    with DiskCache(tmp_path, V1) as cache:
        cache.put("kind", "key", bytes(LONGEST + 1))
        assert cache.get("kind", ["key"]) == {}


@pytest.mark.heavy
def test_processes_that_write_at_once_lose_nothing_true(tmp_path: Path) -> None:
    """Whatever each of them could not write is missing, and all that is there is whole."""
    code = (
        "import sys; from pathlib import Path; from drift_gate.runtime.disk_cache import DiskCache\n"
        "for turn in range(20):\n"
        f"    with DiskCache(Path(sys.argv[1]), {V1!r}) as cache:\n"
        "        for number in range(turn * 10, turn * 10 + 10):\n"
        "            cache.put('kind', f'key {number}', f'value {number} '.encode() * 40)\n"
        "        found = cache.get('kind', [f'key {number}' for number in range(200)])\n"
        "        assert all(found[key] == f'value {key[4:]} '.encode() * 40 for key in found), found\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(6)]
    assert [writer.wait() for writer in writers] == [0] * 6
    found = told(tmp_path)
    assert found
    assert found == {key: ENTRIES[key] for key in found}
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
