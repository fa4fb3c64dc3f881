#!/bin/sh
# functions-framework 3.10.2 with cloudevents 1.12.0. Guessed: a message of Pub/Sub comes to a function for
# CloudEvents with all that is said of it, whether it is brought as an event, as by Eventarc, or pushed by a
# subscription, of which the framework makes an event of the same type. Seen: of what is pushed, `subscription`,
# `deliveryAttempt` and `orderingKey` are gone without a word, and the source names the topic only if the address that
# is pushed to does. A function that gives up after so many attempts, or tells services apart by the key, does so
# where a test posts it an event, and never behind a subscription. The README has the emulator push to a function and
# says nothing of it; for the framework for Go its issue 119 says the same.
# Ours reads the id alone, which stays (cloud_functions/deployment_drift_monitor/main.py), and the coordinator takes a
# push as it comes (docs/decisions/0075-push-acknowledgement.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check functions-framework==3.10.2 cloudevents==1.12.0
cd "$folder"
cat >main.py <<'PYTHON'
import functions_framework

came = []


@functions_framework.cloud_event
def on(event):
    came.append((event["id"], event["type"], event["source"], event.data))
PYTHON
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import functions_framework

told = {"data": "eA==", "messageId": "1", "publishTime": "2026-11-30T20:00:00Z", "attributes": {"commit": "1111111"}}
about = {"subscription": "projects/p/subscriptions/s", "deliveryAttempt": 4}
envelope = {"message": told | {"orderingKey": "worker"}} | about
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "//pubsub.googleapis.com/projects/p/topics/t"}
client = functions_framework.create_app("on", "main.py", "cloudevent").test_client()


for headers in (event | {"ce-type": PUBLISHED}, {}):
    assert client.post("/", headers=headers, json=envelope).status_code == 200
brought, pushed = sys.modules["main"].came
print("functions-framework", version("functions-framework"), "cloudevents", version("cloudevents"))
print("as an event:", *brought)
print("pushed:", *pushed)
assert brought == ("1", PUBLISHED, event["ce-source"], envelope)
kept = pushed[3]["message"]
assert pushed[:3] == ("1", PUBLISHED, "//pubsub.googleapis.com/") and set(pushed[3]) == {"message"}
assert {name: kept.get(name) for name in told} == told and "orderingKey" not in kept
PYTHON
