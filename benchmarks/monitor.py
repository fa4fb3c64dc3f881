"""A look of the monitor beside a check, and a cold start of its Cloud Function, over 21 services."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from benchmarks.batches import emulator
from benchmarks.history import drafts
from benchmarks.measuring import Row, in_turn, peak_of
from benchmarks.worlds import PATHS, world
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.wiring import checks, monitors
from drift_gate.wiring.notifications import Notifications

SERVICES, COMMITS, ROUNDS, STARTS = 21, 20_000, 60, 3
TESTS = str(Path(__file__).parents[1] / "tests")
#: Seconds between two looks at the memory of all processes.
SAMPLE_S = 0.05
MIB = 1 << 20


def toml(store: str, repository: str) -> str:
    """A fleet whose services read the paths of a busy repository."""
    tables = "".join(
        f'[services.s{number}]\npaths = ["/{PATHS[number % len(PATHS)]}"]\n' for number in range(SERVICES)
    )
    return (
        f'[defaults]\nproject = "test-project"\nregion = "us-west2"\ntarget_ref = "main"\ndeadline = "60s"\n'
        f'repository = "{repository}"\n[journal]\nstore = "{store}"\n{tables}'
    )


@contextmanager
def fleet() -> Iterator[tuple[Path, FakeCloudRun]]:
    """The folder of a repository, and its services: each as many hundred commits behind as its number."""
    with tempfile.TemporaryDirectory() as name, FakeCloudRun() as cloud:
        folder = Path(name) / "repo"
        builder = HistoryBuilder(folder)
        commits = builder.commits(drafts(COMMITS))
        builder.git("config", "uploadpack.allowFilter", "true")
        builder.git("repack", "-a", "-d", "-q")
        for number in range(SERVICES):
            cloud.deploy(f"s{number}", commit=commits[-1 - 100 * number])
        yield folder, cloud


def look_rows() -> list[Row]:
    """A look that tells nobody, and a check that keeps its verdicts, in one process, by its CPU time."""
    lines = logging.getLogger("drift_gate.verdict")
    lines.addHandler(logging.NullHandler())  # both tell each verdict, and nobody is to read it here
    lines.propagate = False
    with fleet() as (folder, cloud):
        told = {"CLOUD_RUN_EMULATOR_HOST": cloud.host}
        check = world(folder, toml("checks.sqlite", "."), **told)
        look = world(folder, toml("looks.sqlite", "."), **told)
        works: dict[str, Callable[[], object]] = {
            "check": lambda: checks.check(settings=check),
            "look": lambda: monitors.look(look, [Notifications(look)]),
        }
        cpu = in_turn({f"{name}, CPU": _cpu(work) for name, work in works.items()}, ROUNDS)
    rows = {name.partition(",")[0]: row for name, row in cpu.items()}
    ratio = rows["look"].median_ms / rows["check"].median_ms
    fastest = rows["look"].spread_ms[0] / rows["check"].spread_ms[0]
    remark = f"{ratio:.2f} times check; of the fastest {fastest:.2f}"
    return [rows["check"], replace(rows["look"], remark=remark)]


def _cpu(work: Callable[[], object]) -> Callable[[], float]:
    """``work`` as a subject: the CPU seconds of this process."""

    def measured() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return measured


def cold_rows() -> list[Row]:
    """From the start of an instance to the answer of its first message, and what it then holds."""
    sys.path.append(TESTS)
    from support import cloud_function

    with emulator("firestore") as host, fleet() as (folder, cloud):
        taken: dict[str, list[float]] = {}
        for number in range(STARTS):
            upload = cloud_function.upload(
                folder.parent / f"upload-{number}", toml(f"firestore://p-{uuid4().hex[:12]}", folder.as_uri())
            )
            memory = folder.parent / f"tmp-{number}"
            memory.mkdir()
            environ = {
                "CLOUD_RUN_EMULATOR_HOST": cloud.host,
                "FIRESTORE_EMULATOR_HOST": host,
                "TMPDIR": str(memory),
            }
            started = time.perf_counter()
            with (
                cloud_function.function(upload, environ) as instance,
                peak_of(instance.process.pid, SAMPLE_S) as peak,
            ):
                told = [("listens", time.perf_counter() - started)]
                for name in ("its first verdicts", "a second look"):
                    began = time.perf_counter()
                    if instance.send()[0] != 200:
                        raise RuntimeError(f"not what was to be measured: {instance.entries[-2]}")
                    told.append((name, time.perf_counter() - began))
                instance.logged(f"looked at {SERVICES} services")
            told.append(("memory of all its processes, MiB", peak[0] / MIB / 1000))
            told.append(("its mirror on disk, MiB", _size(memory) / MIB / 1000))
            for name, seconds in told:
                taken.setdefault(name, []).append(seconds * 1000)
    return [Row(name, sorted(each)[len(each) // 2], (min(each), max(each))) for name, each in taken.items()]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
