"""No connection of the store crosses a fork: neither side loses what it wrote, neither waits for ever."""

from __future__ import annotations

from pathlib import Path

from support.forkserver import forkserver

ROOT = Path(__file__).parents[3]
#: A process of its own, since a fork of the test's would take pytest's threads and clients along.
PROGRAM = """
import os, sys, threading, warnings
from pathlib import Path
# Python 3.12 and newer warn of every fork beside a thread; that is what is tried here.
warnings.filterwarnings("ignore", category=DeprecationWarning, message="This process .* is multi-threaded")
from coordinator.stores import a_batch, answer
from coordinator.worlds import NOW
from predictions.coordinator.store.sqlite import open_sqlite

path = Path(sys.argv[1])
players = [f"P{number:03}" for number in range(20)]

def held():
    links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd.isdecimal()
             and os.path.lexists(f"/proc/self/fd/{fd}"))
    return [each for each in links if path.name in each and not each.endswith(".lock")]

with open_sqlite(path) as store:
    batch = store.create(a_batch(len(players)), NOW).id
    store.mark_dispatched(batch, players, NOW)
    assert held()
    over = threading.Event()
    def read():
        while not over.is_set():
            store.get(batch)
    reading = threading.Thread(target=read)
    reading.start()
    children = []
    for number in range(0, len(players), 2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert not held(), held()
                assert store.apply([answer(batch, players[number])], NOW) == ["counted"]
                code = 0
            finally:
                os._exit(code)
        children.append(child)
        assert store.apply([answer(batch, players[number + 1])], NOW) == ["counted"]
    assert [os.waitpid(each, 0)[1] for each in children] == [0] * len(children)
    over.set()
    reading.join()
    found = store.get(batch)
    assert found.progress.completed == len(players), found.progress
    assert store._read("PRAGMA integrity_check")[0][0] == "ok"
"""


def test_parent_and_children_keep_all_that_they_wrote(tmp_path: Path) -> None:
    """While another thread of the parent reads."""
    done = forkserver().run(PROGRAM, [str(tmp_path / "batches.sqlite")], cwd=ROOT, env={"PATH": ""})
    assert (done.returncode, done.stderr) == (0, "")
