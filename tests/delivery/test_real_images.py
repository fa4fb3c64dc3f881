"""From a commit to the traffic with nothing pretended but Google: git, buildah, a registry, processes.

The image is built from the commit, the revision runs what the registry holds, and the gate asks the running
worker for its files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.builds import LACKING, Workshop, workshop
from support.shipped import JOB, POOL, WORKER, Shipped, shipped

pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"images are built by {LACKING or 'what is here'}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def worker(shop: Workshop, tmp_path: Path) -> Iterator[Shipped]:
    with shipped(tmp_path, shop) as worker:
        yield worker


@pytest.mark.heavy
def test_what_is_missing_is_deployed_and_proved(worker: Shipped) -> None:
    """plan says what, deploy does it, and check allows by the fingerprint of what runs."""
    new = worker.change()
    planned = worker.run("plan", WORKER)
    assert "1 relevant commit missing" in planned.stdout, planned
    done = worker.run("deploy", WORKER)
    assert (done.returncode, worker.serving()) == (0, {new: 100}), done
    checked = worker.run("check", WORKER, "--format", "json")
    assert checked.returncode == 0, checked
    assert f'"commit": "{new}"' in checked.stdout
    assert '"carrier": "fingerprint"' in checked.stdout


@pytest.mark.heavy
def test_a_worker_that_crashes_gets_no_traffic(worker: Shipped) -> None:
    live = worker.serving()
    worker.change(app="raise SystemExit('no database, version {version}')\n")
    done = worker.run("deploy", WORKER)
    assert (done.returncode, worker.serving()) == (6, live), done
    assert "is not ready" in done.stderr


@pytest.mark.heavy
def test_an_image_of_old_files_gets_no_traffic(worker: Shipped) -> None:
    """Its labels name the commit, and its own files are not the commit's."""
    live = worker.serving()
    old = worker.history.git("show", "main:worker/app.py")
    own = worker.history.git("show", "main:worker/fingerprint.py")
    worker.change(folder="stale", **{"stale/app.py": old, "stale/fingerprint.py": own})
    done = worker.run("deploy", WORKER)
    assert (done.returncode, worker.serving()) == (6, live), done
    assert "the files that run are those of none of the target's last" in done.stderr


@pytest.mark.heavy
def test_a_deploy_that_was_overtaken_stops(worker: Shipped) -> None:
    """Right before its traffic would move, another one deploys what is newer."""
    older = worker.change()
    newer = worker.change()

    def overtake() -> None:
        worker.cloud.before("UpdateService", lambda: worker.by_hand(newer))

    worker.cloud.before("UpdateService", overtake)
    done = worker.run("deploy", WORKER, "--commit", older)
    assert (done.returncode, worker.serving()) == (5, {newer: 100}), done


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(6))
def test_killed_anywhere_a_repeat_comes_to_the_same(worker: Shipped, seed: int) -> None:
    """By SIGKILL, three times: no traffic goes back, no revision is made twice, no lock stays."""
    chance = random.Random(seed)  # noqa: S311 - the same at each run
    [live] = worker.serving()
    new = worker.change()
    kills = 0
    for _ in range(3):
        calls, lines = chance.choice([(chance.randrange(1, 30), 10**6), (10**6, chance.randrange(1, 40))])

        def due(made: int, said: int, calls: int = calls, lines: int = lines) -> bool:
            return made >= calls or said >= lines

        kills += worker.killed(due, "deploy", WORKER)
        assert worker.serving().keys() <= {live, new}
    assert kills
    done = worker.run("deploy", WORKER)
    assert (done.returncode, worker.serving()) == (0, {new: 100}), done
    assert worker.run("deploy", WORKER).returncode == 0  # of which nothing is left to do
    made = [each for each in worker.cloud.revisions.values() if each.labels.get("commit-sha") == new]
    assert len(made) == 1
    assert worker.run("check", WORKER).returncode == 0
    kept = worker.deploys()
    assert kept.lock(WORKER).holder is None
    for deploy in kept.deploys(WORKER, limit=10):
        assert len({step.name for step in deploy.steps}) == len(deploy.steps)


@pytest.mark.heavy
def test_a_rollback_holds_until_it_is_taken_back(worker: Shipped) -> None:
    """The traffic goes to what served before, no deploy undoes that, and `--replace` does."""
    [live] = worker.serving()
    new = worker.change()
    assert worker.run("deploy", WORKER).returncode == 0
    until = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    back = worker.run("rollback", WORKER, "--reason", "wrong odds", "--until", until)
    assert worker.serving() == {live: 100}, back
    assert "[[acknowledged]]" in back.stdout
    held = worker.run("deploy", WORKER)
    assert (held.returncode, worker.serving()) == (5, {live: 100}), held
    [revision] = worker.traffic()
    done = worker.run("deploy", WORKER, "--replace", revision)
    assert (done.returncode, worker.serving()) == (0, {new: 100}), done


@pytest.mark.heavy
def test_the_traffic_moves_in_steps(worker: Shipped) -> None:
    """What each step came to is read back, and the last one follows the latest again."""
    [live] = worker.serving()
    new = worker.change()
    seen: list[dict[str, int]] = []

    def look() -> None:
        seen.append(worker.serving())
        worker.cloud.before("UpdateService", look)

    worker.cloud.before("UpdateService", look)
    done = worker.run("deploy", WORKER, "--to", "10,50")
    assert (done.returncode, worker.serving()) == (0, {new: 100}), done
    assert seen == [{live: 100}, {live: 100}, {live: 90, new: 10}, {live: 50, new: 50}]
    assert [each.revision for each in worker.cloud.services[WORKER].traffic if each.percent] == [""]


@pytest.mark.heavy
def test_a_worker_pool_and_a_job(worker: Shipped) -> None:
    """A pool has no address and is proved by its marks; a job's next run gets another template."""
    [live] = worker.serving()
    worker.cloud.deploy(POOL, kind="worker-pool", commit=live)
    worker.cloud.deploy(JOB, kind="job", commit=live)
    new = worker.change()
    for name in (POOL, JOB):
        done = worker.run("deploy", name)
        assert done.returncode == 0, done
    [entry] = worker.cloud.worker_pools[POOL].instance_split_statuses
    ready = worker.cloud.worker_pools[POOL].latest_ready_revision.rpartition("/")[2]
    assert (entry.revision, entry.percent) == ("", 100)
    template = worker.cloud.jobs[JOB].template
    assert worker.cloud.revisions[ready].labels["commit-sha"] == template.labels["commit-sha"] == new
    assert "@sha256:" in template.template.containers[0].image
