"""The coordinator's settings come from the environment, strictly, and an error names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictions.coordinator.config import Config, FirestoreAt
from predictions.coordinator.exceptions import ConfigError

TOPIC = "projects/p/topics/t"


def test_nothing_set_is_one_machine_and_one_file() -> None:
    config = Config.of({"HOME": "/root", "COORDINATOR_STORE": ""})
    assert (config.store, config.dispatch, config.processes) == (
        Path(".drift/predictions.sqlite"),
        "local",
        1,
    )


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("state/a.sqlite", Path("state/a.sqlite")),
        ("firestore://p/d", FirestoreAt(project="p", database="d")),
        ("firestore://p", FirestoreAt(project="p", database="(default)")),
    ],
)
def test_the_store_is_a_file_or_a_firestore_database(text: str, store: object) -> None:
    assert Config.of({"COORDINATOR_STORE": text}).store == store


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"COORDINATOR_STORE": "firestore://"}, "COORDINATOR_STORE: a Firestore store is"),
        ({"COORDINATOR_STORE": "firestore://p/d/x"}, "COORDINATOR_STORE: a Firestore store is"),
        (
            {"COORDINATOR_DISPATCH": "pubsubb"},
            'COORDINATOR_DISPATCH: must be "local", "pubsub" or "http"; did you mean pubsub?',
        ),
        ({"COORDINATOR_DISPATCH": "pubsub"}, "COORDINATOR_TOPIC is not set"),
        ({"COORDINATOR_DISPATCH": "http"}, "COORDINATOR_WORKER_URL is not set"),
        ({"COORDINATOR_PIN_REVISION": "true"}, "COORDINATOR_PIN_REVISION needs COORDINATOR_DISPATCH=http"),
        ({"COORDINATOR_PIN_REVISION": "ture"}, "COORDINATOR_PIN_REVISION: must be true or false"),
        ({"COORDINATOR_TOPIC": "my-topic"}, "COORDINATOR_TOPIC: must be projects/PROJECT/topics/TOPIC"),
        (
            {"COORDINATOR_WORKER_URL": "worker.example"},
            "COORDINATOR_WORKER_URL: must be an http or https address",
        ),
        (
            {"COORDINATOR_PROCESSES": "0"},
            "COORDINATOR_PROCESSES: must be a whole number such as 1, at least 1",
        ),
        ({"COORDINATOR_STALL_AFTER": "soon"}, "COORDINATOR_STALL_AFTER: must be a number such as 1800.0"),
        (
            {"COORDINATOR_REQUEST_TIMEOUT": "4"},
            "COORDINATOR_REQUEST_TIMEOUT: must be a number such as 300.0, at",
        ),
        ({"COORDINATOR_TOPICS": TOPIC}, "COORDINATOR_TOPICS: there is no such setting; did you mean"),
    ],
)
def test_what_is_wrong_is_named_by_its_variable(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.of(environ)
    assert str(caught.value).startswith(said)


def test_all_mistakes_are_told_at_once() -> None:
    """One redeployment mends them."""
    with pytest.raises(ConfigError) as caught:
        Config.of({"COORDINATOR_PROCESSES": "0", "COORDINATOR_BATCH_SIZE": "many"})
    assert str(caught.value) == (
        "COORDINATOR_BATCH_SIZE: must be a whole number such as 50; "
        "COORDINATOR_PROCESSES: must be a whole number such as 1, at least 1"
    )


def test_an_error_does_not_repeat_the_value() -> None:
    """It may be a secret that stands in the wrong variable."""
    with pytest.raises(ConfigError) as caught:
        Config.of({"COORDINATOR_TOPIC": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_pubsub_is_complete_with_its_topic() -> None:
    config = Config.of({"COORDINATOR_DISPATCH": "pubsub", "COORDINATOR_TOPIC": TOPIC})
    assert (config.dispatch, config.topic) == ("pubsub", TOPIC)
