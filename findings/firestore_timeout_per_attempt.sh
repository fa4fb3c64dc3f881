#!/bin/sh
# google-cloud-firestore 2.34.1 with google-api-core 2.44.0 and grpcio 1.85.3. Guessed: `document.get(timeout=1)` is
# over after a second. Seen: where a server takes the call and says nothing, the second is each attempt's; the
# default retry takes DEADLINE_EXCEEDED for a reason to try again, for 300 s by its declaration, and every attempt
# has its second anew: still going on after 8 s. With `retry=None` there is one attempt. Whoever has to bound the
# call has to bound its retry too.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    google-cloud-firestore==2.34.1 google-api-core==2.44.0 grpcio==1.85.3
"$folder/venv/bin/python" - <<'PYTHON'
import os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import grpc
from google.api_core.exceptions import DeadlineExceeded

WATCHED_S = 8.0
attempts = []


class Silent(grpc.GenericRpcHandler):
    """Takes every call, and says nothing until the caller has given it up."""

    def service(self, call):
        return grpc.unary_stream_rpc_method_handler(self.answer)

    def answer(self, request, context):
        attempts.append(round(context.time_remaining(), 1))
        given_up = threading.Event()
        context.add_callback(given_up.set)
        given_up.wait()
        return iter(())


server = grpc.server(ThreadPoolExecutor(8), handlers=[Silent()])
os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()

from google.cloud import firestore

document = firestore.Client(project="p").document("c/d")
try:
    document.get(timeout=1, retry=None)
except DeadlineExceeded:
    pass
once = len(attempts)
attempts.clear()

ended = threading.Event()


def call():
    try:
        document.get(timeout=1)
    finally:
        ended.set()


threading.Thread(target=call, daemon=True).start()
over = ended.wait(WATCHED_S)
print(*(f"{name} {version(name)}" for name in ("google-cloud-firestore", "google-api-core", "grpcio")))
print("retry=None: attempts:", once)
print(f"by default: ended within {WATCHED_S} s: {over}; seconds that each attempt was given: {attempts}")
sys.stdout.flush()
seen = once == 1 and not over and len(attempts) >= 3 and min(attempts) > 0.8
os._exit(0 if seen else 1)
PYTHON
