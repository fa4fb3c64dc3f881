"""The fault matrix as a page: what each outside call comes to under each fault. Made from the cells."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from support import (
    fault_cloud_run,
    fault_credentials,
    fault_evidence,
    fault_files,
    fault_git,
    fault_revisions,
)
from support.fault_cells import DEADLINE_S, FAULTS, Cell, Column

#: The tables of the page: a title, and the cells of its columns.
GROUPS: Mapping[str, Sequence[Cell]] = {
    "Cloud Run": [*fault_cloud_run.CELLS, *fault_cloud_run.MORE, *fault_revisions.CELLS],
    "Credentials": fault_credentials.CELLS,
    "Git": fault_git.CELLS,
    "Further evidence": fault_evidence.CELLS,
    "Files and the clock": fault_files.CELLS,
}
CELLS = [cell for cells in GROUPS.values() for cell in cells]
CALLS = tuple(dict.fromkeys(cell.call for cell in CELLS))

#: Where the part begins that differs from run to run.
SECONDS = "## Seconds"

_HEAD = f"""\
# Faults

Written by `make faults`; a test fails when it is out of date. Each cell is one check with a deadline of
{DEADLINE_S:g} s, of a worker that is current: without the fault the verdict is `allow` (the first row). The
fault is real: a loopback server that misbehaves, a name that does not resolve, a certificate that nobody
vouches for, a file that cannot be read or written. Nothing in the gate is patched.

Each cell asserts the verdict, its cause, that the check was over while what hangs went on hanging, that no
child process, lock or half-written file is left, and that no thread goes on, but for what is named below.

What holds in the tables:

- A cause alone (`timeout`) means that the verdict is `deny` because of an `unknown-drift` of that cause, a
  code alone (`rollout-stalled`) that it is `deny` because of that.
- What the gate cannot do without (Cloud Run, the target, the ledger, credentials) makes the drift unknown.
- A git remote that confirmed its commit within `stale_target_limit` and cannot be asked now warns,
  `target-may-be-stale`. The record of what it confirmed only helps: where it cannot be written, a later
  check has nothing to fall back on, and the verdict of this one is unaffected.
- What `evidence` adds (the registry, the health answer) is not needed: what cannot be had warns,
  `evidence-unreachable`, with the cause in brackets. It gets half of what is left of the deadline.
- The recent revisions decide nothing. Beside a registry, a list that cannot be had warns as the registry
  does. Where the revision that serves names no commit, which is `no-commit-evidence` without a fault, too,
  the verdict says that nobody knows whether another revision of the same image names one, and why.
- The journal is no part of the answer: the verdict is unaffected, and a warning is logged.
- One thread, a daemon that nobody waits for, goes on where nothing can interrupt a call: the search for a
  metadata server that cannot be reached.
- A fetch into a checkout that breaks off leaves git's own `tmp_…`, and no object of it; `git gc` removes
  them. A mirror sweeps up its own with the next fetch.
- Google's libraries retry by themselves when a token is refused for now (408, 429, 5xx), longer than a
  deadline of {DEADLINE_S:g} s: the cause is `timeout` then, `credentials` with a longer one.
- `–`: the call does not meet this fault, or meets it in another column. gRPC has no `Retry-After`, a local
  file no status.
"""


def page(columns: Mapping[str, Column]) -> str:
    """The whole page; ``columns`` are what the cells came to."""
    return "\n".join([*stable(), *_seconds(columns)]) + "\n"


def stable() -> Iterator[str]:
    """What is the same on every machine, line by line."""
    yield _HEAD
    for title, cells in GROUPS.items():
        yield f"## {title}\n"
        yield from _table(cells)
        yield ""
    yield from _counts()


def _table(cells: Sequence[Cell]) -> Iterator[str]:
    calls = list(dict.fromkeys(cell.call for cell in cells))
    by_place = {(cell.fault, cell.call): cell for cell in cells}
    yield f"| fault | {' | '.join(calls)} |"
    yield "|---" * (len(calls) + 1) + "|"
    for fault in FAULTS:
        told = [by_place.get((fault, call)) for call in calls]
        if any(told):
            yield f"| {fault} | {' | '.join(f'`{cell.outcome}`' if cell else '–' for cell in told)} |"


def _counts() -> Iterator[str]:
    faults = [cell for cell in CELLS if cell.fault != "nothing"]
    decisions = Counter(
        "unknown" if cell.cause else f"`{cell.decision}`" if not cell.warning else "`allow`, with a warning"
        for cell in faults
    )
    yield "## Counts\n"
    yield (
        f"{len(faults)} cells in {len(CALLS)} calls: "
        + ", ".join(f"{count} {what}" for what, count in decisions.most_common())
        + ".\n"
    )
    causes = Counter(cell.cause for cell in faults if cell.cause)
    yield "By cause: " + ", ".join(f"`{cause}` {count}" for cause, count in sorted(causes.items())) + ".\n"


def _seconds(columns: Mapping[str, Column]) -> Iterator[str]:
    today = datetime.now(UTC).date().isoformat()
    yield f"{SECONDS}\n"
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    yield f"The longest check of each call, on {machine}, {today}.\n"
    yield "| call | cells | longest |"
    yield "|---|---|---|"
    for call, column in columns.items():
        longest = max(seen.seconds for seen in column.seen.values())
        yield f"| {call} | {len(column.seen)} | {longest:.2f} s |"
