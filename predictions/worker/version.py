"""What this worker says of itself: the files that it runs, as git would name them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drift_gate.fingerprint import Fingerprint, take

#: The folder that holds ``predictions``: ``/app`` in the image, the repository's root elsewhere.
ROOT = Path(__file__).resolve().parents[2]
#: What the Dockerfile copies.
COVERS = (
    "predictions/worker/",
    "requirements/worker.txt",
    "drift_gate/__init__.py",
    "drift_gate/fingerprint.py",
)
#: Which commit the image was built from. Not a name that deploys set on a revision, where it would
#: outlive the image.
COMMIT = "IMAGE_COMMIT"


def version(environ: Mapping[str, str]) -> Fingerprint:
    """The fingerprint of this worker, to be taken once, at its start; ``environ`` is ``os.environ``."""
    return take(ROOT, covers=COVERS, commit=environ.get(COMMIT), environ=environ)
