"""What the tests of the runbook share: its blocks, what the gate says, batches that others left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import yaml
from coordinator.worlds import a_verdict
from ops.morning import Morning
from ops.stand_ins import DEPLOY, ROOT

from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.exceptions import DispatchError
from predictions.coordinator.http.game_dates import game_date
from predictions.coordinator.store.sqlite import open_sqlite

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def _sections() -> dict[str, list[str]]:
    """The blocks of each page, under its heading; what is before the first is under nothing."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    named = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    block = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return {name: block.findall(text) for name, text in named.items()}


PAGES = _sections()
(FIRST,) = PAGES[""]


def answers(printed: str) -> list[Any]:
    """The JSON documents that were printed."""
    found, decoder, rest = [], json.JSONDecoder(), printed.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def drift(at: Morning) -> Any:
    """What the gate says, as each page asks."""
    (outcome,) = answers(at.paste(FIRST, 'ask "$URL/drift"'))
    return outcome["services"][0]


def kind(problem: Any) -> str:
    return str(problem["type"]).rpartition(":")[2]


def codes(at: Morning) -> list[str]:
    """The reason codes of what the gate says."""
    return [each["code"] for each in drift(at)["reasons"]]


def deploy_of(at: Morning, block: str) -> str:
    """Paste ``block``, and let the worker of the manifest that gcloud got then serve; its commit."""
    at.paste(FIRST, block)
    deployed = yaml.safe_load((at.shell.kept / "worker.yaml").read_text())
    commit = str(deployed["spec"]["template"]["metadata"]["labels"]["commit-sha"])
    at.live(commit)
    return commit


def scheduled(at: Morning) -> dict[str, tuple[str, str]]:
    """Of each schedule that was made: as whom it calls, and the body that it sends."""
    found = {}
    for call in at.shell.calls():
        if call[:2] == ["scheduler", "jobs"] and call[2] in {"create", "update"}:
            flags = dict(word.partition("=")[::2] for word in call if word.startswith("--"))
            found[call[4]] = (flags["--oidc-service-account-email"], flags.get("--message-body", ""))
    return found


def verdicts(at: Morning) -> list[dict[str, Any]]:
    return [entry for entry in at.entries() if entry.get("event") == "drift_verdict"]


def matches(query: str, entry: dict[str, Any]) -> bool:
    """Whether a log entry's fields are those that ``query`` asks for: ANDs of one value or several."""
    fields = re.findall(r'jsonPayload\.(\w+)=("[^"]*"|true|false)', query)
    assert fields
    wanted: dict[str, list[Any]] = {}
    for name, value in fields:
        wanted.setdefault(name, []).append(json.loads(value))
    return all(entry.get(name) in values for name, values in wanted.items())


def told_by(name: str) -> re.Pattern[str]:
    """The messages that the alert ``name`` looks for."""
    read = yaml.safe_load((DEPLOY / "alerts" / f"{name}.yaml").read_text())
    (found,) = re.findall(r'jsonPayload.message=~"([^"]+)"', str(read["conditions"]))
    return re.compile(found)


class Broken:
    """A way to the workers that is closed."""

    name = "local"

    def dispatch(self, batch: Any, requests: Any) -> Iterator[Handed]:
        raise DispatchError("the worker is gone")
        yield


class Nobody:
    """Takes requests and never answers."""

    name = "local"

    def dispatch(self, batch: Any, requests: Any) -> Iterator[Handed]:
        yield Handed(tuple(request.player_id for request in requests))


def left_by(dispatcher: Any, at: Morning, when: datetime) -> str:
    """The id of today's batch that another coordinator, with ``dispatcher``, left behind."""
    srv = at.log.parent / "srv"
    order = Order(game_date=game_date("TODAY", datetime.now(UTC)), slate=srv / "slate.csv")
    with open_sqlite(srv / ".drift" / "predictions.sqlite") as store:
        coordinator = Coordinator(store, dispatcher, gate=lambda **_: a_verdict(), clock=lambda: when)
        with suppress(DispatchError):
            coordinator.start(order)
        return store.batches()[0].id
