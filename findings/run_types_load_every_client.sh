#!/bin/sh
# google-cloud-run 0.16.2. Guessed: `google.cloud.run_v2.types` holds the messages, and importing them costs the
# messages alone. Seen: the package's __init__ comes first and imports the clients of all its services, with their
# transports, grpc and google.auth, so that a program that only names `Revision` pays for every one of them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-cloud-run==0.16.2
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from google.cloud.run_v2.types import Revision

print("google-cloud-run", version("google-cloud-run"), "Python", sys.version.split()[0])
prefix = "google.cloud.run_v2.services."
clients = sorted(name.removeprefix(prefix) for name in sys.modules if name.startswith(prefix) and name.count(".") == 4)
print("imported with", Revision.__name__ + ":", len(clients), "services:", ", ".join(clients))
print("of", len(sys.modules), "modules; grpc", "grpc" in sys.modules, "google.auth", "google.auth" in sys.modules)
assert len(clients) == 8 and "grpc" in sys.modules and "google.auth" in sys.modules
PYTHON
