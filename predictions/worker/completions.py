"""Publishes what a worker answers, so that a message is acked only once its answer is safe."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from predictions.worker.messages import Completion
from predictions.worker.pubsub import PUBLISH_SECONDS, Publisher


class NotPublished(Exception):
    """The answer is not safe; whoever asked must ask again."""


class Completions:
    """The topic ``projects/PROJECT/topics/TOPIC`` that takes completions."""

    def __init__(self, client: Publisher, topic: str) -> None:
        self._client = client
        self._topic = topic

    def publish(self, completion: Completion, stamp: Mapping[str, str]) -> None:
        """Publish, with the verdict that the task came under. Raises ``NotPublished``."""
        try:
            future = self._client.publish(self._topic, completion.to_json(), **stamp)
            future.result(timeout=PUBLISH_SECONDS + 1)
        except (GoogleAPIError, GoogleAuthError, FutureTimeout) as error:
            raise NotPublished(f"{self._topic} does not take completions: {error}") from error
