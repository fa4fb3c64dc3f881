"""``python -m predictions.worker.serve``: the worker over HTTP, on ``PORT``.

``POST /predict`` answers requests at once; ``POST /push`` takes a Pub/Sub push and publishes the answer to
the topic ``WORKER_COMPLETIONS``; ``GET /version`` says what the worker holds, ``GET /health`` which worker
answers. Who may call is the platform's to say.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from drift_gate.fingerprint import router
from predictions.worker.answering import Identity, answer
from predictions.worker.completions import Completions, NotPublished
from predictions.worker.messages import (
    MessageError,
    completions_to_json,
    pushed_from,
    task_from,
    tasks_from,
)
from predictions.worker.pubsub import publisher
from predictions.worker.version import version

log = logging.getLogger("prediction_worker")

#: Cloud Run's own, where ``PORT`` is not set.
PORT = 8080


def app(environ: Mapping[str, str], completions: Completions | None) -> FastAPI:
    """The worker; ``completions`` None: it takes no pushes."""
    who = Identity.of(environ)
    served = FastAPI(title="prediction worker", openapi_url=None)
    served.include_router(router(version(environ)))

    @served.get("/health")
    def health() -> dict[str, str | None]:
        return {"status": "ok", "revision": who.revision, "commit": who.commit}

    @served.post("/predict")
    async def predict(request: Request) -> Response:
        try:
            tasks = tasks_from(await request.body())
        except MessageError as error:
            return _says(422, str(error))
        done = await run_in_threadpool(lambda: [answer(task, who) for task in tasks])
        return Response(completions_to_json(done), media_type="application/json")

    if completions is not None:
        _take_pushes(served, completions, who)
    return served


def _take_pushes(served: FastAPI, completions: Completions, who: Identity) -> None:
    @served.post("/push")
    async def push(request: Request) -> Response:
        try:
            message = pushed_from(await request.body())
        except MessageError as error:
            return _says(422, str(error))
        try:
            task = task_from(message.data, message.attributes)
        except MessageError as error:
            # Nobody can answer it, now or later: it is told, and does not come again.
            log.error("message %s is no task: %s", message.message_id, error)
            return Response(status_code=204)
        try:
            done = answer(task, who, message.message_id)
            await run_in_threadpool(completions.publish, done, task.stamp)
        except NotPublished as error:
            log.warning("message %s comes again: %s", message.message_id, error)
            return _says(503, "the answer could not be published")
        return Response(status_code=204)


def _says(status: int, detail: str) -> Response:
    return Response(json.dumps({"detail": detail}), status, media_type="application/json")


def main() -> int:
    """0 after SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    environ = dict(os.environ)
    topic = environ.get("WORKER_COMPLETIONS")
    sender = publisher(environ.get("PUBSUB_EMULATOR_HOST")) if topic else None
    completions = Completions(sender, topic) if sender and topic else None
    port = int(environ.get("PORT") or PORT)
    uvicorn.run(app(environ, completions), host="0.0.0.0", port=port, log_level="warning")  # noqa: S104 - a container's only network
    return 0


if __name__ == "__main__":
    sys.exit(main())
