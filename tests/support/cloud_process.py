"""A loopback Cloud Run in a process of its own, as the real one is: no lock and no thread is shared.

with cloud_process() as cloud:
    cloud.tell("deploy", "prediction-worker", commit="1f0c…")
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.fault_server import FaultServer, relay

from drift_gate.testing import FakeCloudRun


@dataclass
class CloudProcess:
    """``host`` is where it listens: the value for ``CLOUD_RUN_EMULATOR_HOST``."""

    host: str
    process: subprocess.Popen[str]

    def tell(self, method: str, *args: Any, **more: Any) -> Any:
        """Call ``method`` of the ``FakeCloudRun`` over there; its answer, or None for one that is no text.

        ``close_all`` resets every connection to it.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([method, args, more]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def cloud_process() -> Iterator[CloudProcess]:
    """One that runs while the block lasts."""
    command = [sys.executable, "-m", "support.cloud_process"]
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
    )
    with process:
        assert process.stdout is not None
        try:
            yield CloudProcess(process.stdout.readline().strip(), process)
        finally:
            process.kill()


def main() -> None:
    with FakeCloudRun() as cloud:
        name, _, port = cloud.host.partition(":")
        with FaultServer(relay((name, int(port)))) as road:
            print(road.host, flush=True)
            for line in sys.stdin:
                method, args, more = json.loads(line)
                answer = getattr(road if method == "close_all" else cloud, method)(*args, **more)
                print(json.dumps(answer if isinstance(answer, str) else None), flush=True)


if __name__ == "__main__":
    main()
