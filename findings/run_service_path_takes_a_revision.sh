#!/bin/sh
# google-cloud-run 0.16.2. Guessed: ServicesClient.parse_service_path, whose answer to what is no name of a service is
# {}, answers so to the name of a revision. Seen: it takes projects/p/locations/l/services/s/revisions/r for a service
# `s/revisions/r`: the parts of its expression take a slash as they take a letter, and only names below a service show
# it. parse_job_path does the same with an execution. google.api_core's path_template.validate says no to the same
# name, and the docstring says nothing of it. Whoever tells the kind of a name by the one that parses it, or looks up
# the service by that part (an audit log names resources of each kind), asks for a service that there is not.
# Ours asks none of them: it writes such names itself, and takes of one what is behind its last slash (`short` in
# drift_gate/sources/cloud_run/messages.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-cloud-run==0.16.2
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from google.api_core.path_template import validate
from google.cloud.run_v2 import JobsClient, ServicesClient

service = ServicesClient.service_path("p", "l", "s")
revision = f"{service}/revisions/r"
execution = f"{JobsClient.job_path('p', 'l', 'j')}/executions/e"
print("google-cloud-run", version("google-cloud-run"))
for parsed, name in (
    (ServicesClient.parse_service_path, service),
    (ServicesClient.parse_service_path, revision),
    (ServicesClient.parse_service_path, execution),
    (JobsClient.parse_job_path, execution),
):
    print(f"{parsed.__name__}({name!r}): {parsed(name)}")
assert ServicesClient.parse_service_path(service)["service"] == "s"
assert ServicesClient.parse_service_path(execution) == {}
assert ServicesClient.parse_service_path(revision)["service"] == "s/revisions/r"
assert JobsClient.parse_job_path(execution)["job"] == "j/executions/e"
assert not validate("projects/*/locations/*/services/*", revision)
PYTHON
