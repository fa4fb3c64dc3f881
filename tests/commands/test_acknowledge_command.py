"""``deployment-drift acknowledge``: what it prints lifts the refusal that it was made for."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator

import pytest
from support.stage import TOML, Done, Stage
from support.times import soon
from support.world import WORKER, World

WHY = "rolled back until the odds feed is mended"
UNTIL = soon()


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    with contextlib.closing(Stage(world)) as ready:
        yield ready


class TestTheCommand:
    ARGS = (WORKER, "--until", UNTIL.isoformat(), "--reason", WHY)

    def acknowledge(self, stage: Stage, *args: str) -> Done:
        return stage.run("deployment-drift", "acknowledge", *(args or self.ARGS))

    def test_what_it_prints_lifts_the_refusal_and_nothing_was_written(self, stage: Stage) -> None:
        for _ in range(4):
            stage.world.change()
        refused = stage.start()
        assert refused.code == 1
        assert f'accept   deployment-drift acknowledge {WORKER} --until DATE --reason "WHY"' in refused.err
        before = stage.config.read_bytes()
        printed = self.acknowledge(stage)
        assert (printed.code, printed.talk, stage.config.read_bytes()) == (0, "", before)
        (made,) = tomllib.loads(printed.out)["acknowledged"]
        assert made["until"] == UNTIL
        stage.toml = TOML + printed.out
        assert stage.check().code == 0
        started = stage.start()
        assert started.code == 0
        assert self.acknowledge(stage).out == printed.out

    def test_nothing_denied_prints_nothing(self, stage: Stage) -> None:
        done = self.acknowledge(stage)
        assert (done.code, done.out) == (0, "")
        assert "nothing to acknowledge" in done.talk

    def test_an_unknown_is_refused(self, stage: Stage) -> None:
        stage.cloud.fault("GetService", code="PERMISSION_DENIED")
        done = self.acknowledge(stage)
        assert (done.code, done.out) == (3, "")
        assert "unknown-drift cannot be acknowledged" in done.talk
        assert "acknowledge" not in stage.start().err

    @pytest.mark.parametrize(
        ("until", "reason", "said"),
        [
            ("2020-01-01", WHY, "is past"),
            ("friday", WHY, "no ISO date or time"),
            ("2999-01-01", WHY, "more than 90 days ahead"),
            (UNTIL.isoformat(), " ", "--reason"),
        ],
        ids=["past", "no time", "too far ahead", "no reason"],
    )
    def test_an_end_and_a_reason_are_needed(self, stage: Stage, until: str, reason: str, said: str) -> None:
        done = self.acknowledge(stage, WORKER, "--until", until, "--reason", reason)
        assert (done.code, done.out) == (2, "")
        assert said in done.talk
