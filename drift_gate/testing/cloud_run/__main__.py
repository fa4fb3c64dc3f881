"""``python -m drift_gate.testing.cloud_run``: a Cloud Run on this machine, to try things out."""

from __future__ import annotations

import sys

from drift_gate.testing.cloud_run.command import main

if __name__ == "__main__":
    sys.exit(main())
