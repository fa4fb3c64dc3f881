"""Values that a service declares of its live revision: what disagrees, or cannot be compared, is denied."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from google.cloud import run_v2
from support.world import WORKER, World, codes, plan_of

from drift_gate import gate
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.evidence.requirements import Pin
from drift_gate.relevance.memory import Memory
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.sources.git.checkout import Checkout
from drift_gate.sources.git.repositories import DirectRepository
from drift_gate.wiring import checks

MANIFEST = "models/manifest.json"


def pinned(world: World, *tables: str) -> None:
    world.toml += "".join(f"[[services.{WORKER}.pins]]\n{table}\n" for table in tables)


def manifest(world: World, path: str) -> None:
    text = json.dumps({"production": {"path": path, "trees": 400, "stages": ["a", "b"], "ok": True}})
    world.history.commit({MANIFEST: text}, subject=f"promote {path}")


def told(world: World) -> list[str]:
    return [each.message for each in world.verdict().reasons if each.code == "pin-mismatch"]


def test_19_the_model_that_serves_is_not_the_registrys_production(world: World) -> None:
    """The code is current; the model is that of last month."""
    pinned(world, f'env = "MODEL_PATH"\nfile = "{MANIFEST}#production.path"')
    manifest(world, "gs://models/2026-01")
    head = world.history.git("rev-parse", "main").strip()
    world.cloud.deploy(WORKER, commit=head, env={"MODEL_PATH": "gs://models/2026-01"})
    assert (world.verdict().decision, codes(world.verdict())) == ("allow", [])
    manifest(world, "gs://models/2026-02")
    head = world.history.git("rev-parse", "main").strip()
    revision = world.cloud.deploy(WORKER, commit=head, env={"MODEL_PATH": "gs://models/2026-01"})
    verdict = world.verdict()
    assert (verdict.decision, codes(verdict), verdict.report.status) == (
        "deny",
        ["pin-mismatch"],
        "identical",
    )
    assert told(world) == [
        f"{revision}: the variable MODEL_PATH is 'gs://models/2026-01' and has to be 'gs://models/2026-02', "
        f"as {MANIFEST}#production.path says at the target"
    ]


def test_19_is_denied_under_a_strict_policy_and_warned_of_where_a_policy_says_so(world: World) -> None:
    pinned(world, 'env = "MODEL_PATH"\nequals = "x"')
    world.cloud.deploy(WORKER, commit=world.first)
    world.toml += "[policy]\nmax_commits_behind = 0\n"
    assert world.verdict().decision == "deny"
    world.toml += 'reasons = {pin-mismatch = "warn"}\n'
    assert world.verdict().decision == "warn"


def test_a_label_may_be_pinned_to_a_value(world: World) -> None:
    pinned(world, 'label = "channel"\nequals = "stable"')
    world.cloud.deploy(WORKER, commit=world.first, labels={"channel": "stable"})
    assert told(world) == []
    world.cloud.deploy(WORKER, commit=world.first, labels={"channel": "canary"})
    assert [message.partition(": ")[2] for message in told(world)] == [
        "the label channel is 'canary' and has to be 'stable'"
    ]


def test_what_is_not_set_is_no_match(world: World) -> None:
    pinned(world, 'env = "MODEL_PATH"\nequals = "x"')
    world.cloud.deploy(WORKER, commit=world.first)
    assert "is not set and has to be 'x'" in told(world)[0]


def test_a_value_out_of_a_secret_cannot_be_compared_and_is_not_let_through(world: World) -> None:
    pinned(world, 'env = "MODEL_PATH"\nequals = "x"')
    revision = world.cloud.deploy(WORKER, commit=world.first)
    selector = run_v2.SecretKeySelector(secret="model-path", version="latest")
    source = run_v2.EnvVarSource(secret_key_ref=selector)
    world.cloud.revisions[revision].containers[0].env.append(
        run_v2.EnvVar(name="MODEL_PATH", value_source=source)
    )
    assert "comes out of a secret" in told(world)[0]


def test_no_value_is_told_that_nobody_pinned(world: World) -> None:
    pinned(world, 'env = "MODEL_PATH"\nequals = "x"')
    world.cloud.deploy(WORKER, commit=world.first, env={"MODEL_PATH": "y", "PASSWORD": "hunter2"})
    assert "hunter2" not in world.verdict().model_dump_json()


@pytest.mark.parametrize(
    ("keys", "value"),
    [("production.trees", "400"), ("production.stages.1", "b"), ("production.ok", "true")],
)
def test_numbers_lists_and_booleans_are_read_as_json_writes_them(world: World, keys: str, value: str) -> None:
    pinned(world, f'env = "V"\nfile = "{MANIFEST}#{keys}"')
    manifest(world, "p")
    world.cloud.deploy(WORKER, commit=world.first, env={"V": value})
    assert told(world) == []


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        (f"{MANIFEST}#production.path", None, f"the target has no {MANIFEST}"),
        (f"{MANIFEST}#production.path", "{}", "there is no 'production'"),
        (
            f"{MANIFEST}#production.path",
            '{"production": {"path": {"a": 1}}}',
            "is no text, number or boolean",
        ),
        (f"{MANIFEST}#production.path", '{"production": [1]}', "there is no 'path'"),
        (f"{MANIFEST}#production.path", "{", "cannot be parsed"),
        (f"{MANIFEST}#production.path", "[" * 100_000, "cannot be parsed"),
        ("models/manifest.toml#a", "a = ", "cannot be parsed"),
    ],
)
def test_a_file_that_says_no_value_is_never_a_match(
    world: World, file: str, content: str | None, says: str
) -> None:
    """What cannot be compared is denied, with the reason; no empty value passes for equal."""
    pinned(world, f'env = "V"\nfile = "{file}"')
    if content is not None:
        world.history.commit({file.partition("#")[0]: content}, subject="a manifest")
    world.cloud.deploy(WORKER, commit=world.first, env={"V": ""})
    assert world.verdict().decision == "deny"
    (message,) = told(world)
    assert says in message


def test_a_file_without_keys_is_its_text_and_toml_is_read_too(world: World) -> None:
    pinned(world, 'env = "A"\nfile = "VERSION"', 'env = "B"\nfile = "m.toml#x.y"')
    world.history.commit({"VERSION": "7\n", "m.toml": "[x]\ny = 'z'\n"}, subject="a version")
    world.cloud.deploy(WORKER, commit=world.first, env={"A": "7", "B": "z"})
    assert told(world) == []
    world.cloud.deploy(WORKER, commit=world.first, env={"A": "7 ", "B": "zz"})
    assert len(told(world)) == 2


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('equals = "x"', "names either a variable"),
        ('env = "A"\nlabel = "b"\nequals = "x"', "names either a variable"),
        ('env = "A"', "has either a value"),
        ('env = "A"\nequals = "x"\nfile = "f"', "has either a value"),
        ('env = "A"\nfile = "/etc/passwd"', "no path inside the repository"),
        ('env = "A"\nfile = "../x.json#a"', "no path inside the repository"),
        ('env = "A"\nfile = "x.yaml#a"', "keys need a .json or .toml file"),
        ('env = "A"\nfile = "x.json#"', "keys need a .json or .toml file"),
        ('env = "A B"\nequals = "x"', "a name without spaces"),
        ('env = "A"\nequal = "x"', "pins"),
    ],
)
def test_a_pin_that_makes_no_sense_stops_with_the_key(world: World, table: str, says: str) -> None:
    pinned(world, table)
    with pytest.raises(DriftConfigError, match=says):
        world.settings()


def test_a_ledger_knows_no_values(world: World) -> None:
    pinned(world, 'env = "A"\nequals = "x"')
    world.toml = world.toml.replace("[defaults]", '[defaults]\nlive = "ledger"')
    with pytest.raises(DriftConfigError, match="pins needs live"):
        world.settings()


def test_a_pin_says_where_its_value_is_from() -> None:
    assert Pin(env="A", file="a/b.json#c.d").path == "a/b.json"
    assert Pin(label="a", equals="x").path is None


class Broken(Checkout):
    """A repository whose contents cannot be read."""

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        raise SourceError("the disk is gone", "history-unavailable")


def test_a_file_that_cannot_be_read_leaves_the_other_services_alone(world: World) -> None:
    """What fails for one service makes that one unknown, and no other."""
    pinned(world, f'env = "V"\nfile = "{MANIFEST}#production.path"')
    world.toml += '[services.other]\npaths = ["/shared/"]\n'
    manifest(world, "p")
    head = world.history.git("rev-parse", "main").strip()
    for name in (WORKER, "other"):
        world.cloud.deploy(name, commit=head, env={"V": "p"})

    settings = world.settings()
    plans = [plan_of(name, settings) for name in settings.services]
    broken = DirectRepository(
        Broken(
            path=world.folder,
            target_ref="main",
            deadline=Deadline(60),
            environ=settings.environ,
            now=checks.utc_now,
            stale_target_limit=0,
        )
    )
    plans = [replace(each, repository=broken) for each in plans]
    worker, other = gate.check(plans, deadline=Deadline(60), now=checks.utc_now())
    assert (worker.decision, worker.report.unknown and worker.report.unknown.cause) == (
        "deny",
        "history-unavailable",
    )
    assert (other.decision, other.report.status) == ("allow", "identical")


def test_a_file_that_is_known_is_not_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the one that says the value, nor the one that may acknowledge that it is not there."""
    pinned(world, f'env = "MODEL_PATH"\nfile = "{MANIFEST}#production.path"')
    settings = world.settings()
    world.history.commit({"drift.toml": world.toml})
    manifest(world, "gs://models/2026-01")
    world.cloud.deploy(WORKER, commit=world.history.git("rev-parse", "main").strip())
    asked: list[Collection[str]] = []
    contents = Checkout.contents

    def noting(self: Checkout, blobs: Collection[str]) -> Mapping[str, bytes]:
        asked.append(blobs)
        return contents(self, blobs)

    monkeypatch.setattr(Checkout, "contents", noting)
    memory = Memory()
    told = [_told_by(memory, world, settings) for _ in range(2)]
    assert told[0] == told[1] == ["pin-mismatch"]
    assert len(asked) == 2


def _told_by(memory: Memory, world: World, settings: Settings) -> list[str]:
    checkout = Checkout(
        path=world.folder,
        target_ref="main",
        deadline=Deadline(60),
        environ=settings.environ,
        now=checks.utc_now,
        stale_target_limit=0,
    )
    plan = replace(plan_of(WORKER, settings), repository=DirectRepository(checkout, memory))
    return codes(gate.check([plan], deadline=Deadline(60), now=checks.utc_now())[0])
