#!/bin/sh
# google-cloud-run 0.16.2 with google-api-core 2.44.0 and grpcio 1.85.3. Guessed: `result(timeout=1)` of an update
# of a service is over after a second; its docstring names that as all it takes "to make sure that this method does not
# block for more than X seconds", and says further down that it touches neither the retry's timeout nor the call's.
# Seen: after the second no further poll begins, but each poll is given 600 s, so that a deploy behind a server (or a
# proxy) that takes GetOperation and says nothing still waits after 8 s, in its first poll.
# Ours takes the answer to the update and asks for the service, each call with a timeout of its own
# (drift_gate/delivery/release/cloud_run.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    google-cloud-run==0.16.2 google-api-core==2.44.0 grpcio==1.85.3
"$folder/venv/bin/python" - <<'PYTHON'
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import grpc
from google.cloud import run_v2
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.longrunning.operations_pb2 import Operation

WATCHED_S = 8.0
SERVICE = "projects/p/locations/l/services/s"
polls = []


class Silent(grpc.GenericRpcHandler):
    """Begins an operation, and says nothing when asked what came of it."""

    def service(self, call):
        answer = self.begun if call.method.endswith("/UpdateService") else self.nothing
        return grpc.unary_unary_rpc_method_handler(answer)

    def begun(self, request, context):
        return Operation(name="projects/p/locations/l/operations/o").SerializeToString()

    def nothing(self, request, context):
        polls.append(round(context.time_remaining()))
        given_up = threading.Event()
        context.add_callback(given_up.set)
        given_up.wait()
        return b""


server = grpc.server(ThreadPoolExecutor(8), handlers=[Silent()])
channel = grpc.insecure_channel(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
server.start()
client = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))
operation = client.update_service(service=run_v2.Service(name=SERVICE), timeout=5)
ended = threading.Event()


def wait():
    try:
        operation.result(timeout=1)
    finally:
        ended.set()


threading.Thread(target=wait, daemon=True).start()
over = ended.wait(WATCHED_S)
print(*(f"{name} {version(name)}" for name in ("google-cloud-run", "google-api-core", "grpcio")))
print(f"result(timeout=1): ended within {WATCHED_S} s: {over}; seconds that each poll was given: {polls}")
sys.stdout.flush()
os._exit(0 if not over and len(polls) == 1 and 590 < polls[0] < 610 else 1)
PYTHON
