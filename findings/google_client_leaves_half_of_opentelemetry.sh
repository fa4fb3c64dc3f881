#!/bin/sh
# google-cloud-run 0.16.2 with google-api-core 2.44.0 and opentelemetry-api 1.45.2, Python 3.11. Guessed: that
# `opentelemetry` is in sys.modules says that somebody has loaded the API, so that there may be a listener. Seen:
# google.api_core looks for opentelemetry.instrumentation, a package of its own that is not there, and leaves a bare
# namespace behind: no `trace`, no `metrics`, and nobody who listens.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-cloud-run==0.16.2 \
    google-api-core==2.44.0 opentelemetry-api==1.45.2
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from google.cloud import run_v2

print(run_v2.__name__, version("google-cloud-run"), "google-api-core", version("google-api-core"), "opentelemetry-api", version("opentelemetry-api"))
loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "opentelemetry")
print("loaded of it:", loaded, "its file:", getattr(sys.modules["opentelemetry"], "__file__", None))
assert loaded == ["opentelemetry"]
assert getattr(sys.modules["opentelemetry"], "__file__", None) is None
PYTHON
