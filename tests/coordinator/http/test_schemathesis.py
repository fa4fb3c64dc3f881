"""Requests that nobody would think of, made from the OpenAPI description: each is answered as described.

``SCHEMATHESIS_CASES`` says how many (18 in ``make test``, 300 in ``make test-heavy``, 5,000 in
``make schemathesis``). Each answer has a documented status, media type, headers and body; what is invalid is
refused, what is valid is not, and nothing is a 500.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from coordinator.served import DAY, Served, served, two_players
from coordinator.worlds import World, a_verdict
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.schemas import OpenApiSchema

from scripts.pages import BYPASS_KEY, SERVERS

CASES = int(os.environ.get("SCHEMATHESIS_CASES", 300 if settings().max_examples >= 100 else 18))
#: The real gate costs some tens of milliseconds a start; a few hundred cases ask for no more than its shape.
REAL_GATE = CASES >= 1000
#: How the cases are shared out; an operation without input has one case, which cannot be invalid.
SHARES = {
    ("POST", "/start"): 12,
    ("POST", "/complete"): 8,
    ("GET", "/batches"): 6,
    ("GET", "/batches/{batch_id}"): 2,
    ("GET", "/batches/{batch_id}/predictions"): 2,
    ("POST", "/batches/{batch_id}/cancel"): 2,
    ("GET", "/drift"): 0,
    ("GET", "/health"): 0,
    ("GET", "/ready"): 0,
}
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> OpenApiSchema:
    """The description, which each server of these has; to read it takes longer than a few cases."""
    with served(tmp_path_factory.mktemp("described"), SERVERS["`api-key`"], host="0.0.0.0") as made:  # noqa: S104 (read, not bound)
        return schemathesis.openapi.from_dict(made.app.described())


@pytest.fixture
def here(world: World, tmp_path: Path) -> Iterator[Served]:
    """A server that asks for a key, over a worker that is current; every other day is without games."""
    environ = {**SERVERS["`api-key`"], **two_players(tmp_path)}
    parts: dict[str, Any] = {} if REAL_GATE else {"gate": lambda **_: a_verdict()}
    with served(tmp_path, environ, host="0.0.0.0", **parts) as made:  # noqa: S104 (read, not bound)
        yield made


def a_batch(here: Served) -> str:
    """The id of a batch that exists."""
    started = here.client.post("/start", json={"game_date": DAY}, headers={"X-API-Key": BYPASS_KEY})
    return str(started.json()["batch"]["id"])


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        pytest.param(*operation, mode, id=f"{' '.join(operation)} {mode.value}")
        for operation, share in SHARES.items()
        for mode in ([POSITIVE, NEGATIVE] if share else [POSITIVE])
    ],
)
def test_every_answer_is_as_described(
    method: str,
    path: str,
    mode: GenerationMode,
    here: Served,
    schema: OpenApiSchema,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``positive`` cases are valid by the description, ``negative`` ones are not."""
    share = math.ceil(CASES * SHARES[method, path] / sum(SHARES.values()) / 2)
    schema.app = here.app.api  # for the checks that send a request of their own
    known = {"batch_id": a_batch(here)} if "batch_id" in path and mode is POSITIVE else None
    seen: Counter[int] = Counter()

    @settings(
        max_examples=max(share, 1),
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy(mode, path_parameters=known))
    def ask(case: Any) -> None:
        response = case.call(
            app=here.app.api, base_url="http://coordinator.example.com", headers={"X-API-Key": BYPASS_KEY}
        )
        seen[response.status_code] += 1
        case.validate_response(response)

    ask()
    with capsys.disabled():
        print(f"\n{method} {path}, {mode.value}: {seen.total()} cases, {dict(sorted(seen.items()))}")
    assert not [status for status in seen if status >= 500]
