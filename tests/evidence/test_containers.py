"""Several containers in one revision: each that runs the service's own code is judged, and no other."""

from __future__ import annotations

import itertools
import json

import pytest
from google.cloud import run_v2
from support.world import WORKER, World, codes

from drift_gate.errors import DriftConfigError
from drift_gate.evidence import image as image_claims
from drift_gate.evidence.image import Image
from drift_gate.facts import Kind, Live, LiveRevision
from drift_gate.policy.verdict import Verdict
from drift_gate.sources.cloud_run.containers import Containers

OWN = "us-west2-docker.pkg.dev/test-project/images"
SHARED = "europe-docker.pkg.dev/acme-images/prod"
NGINX = "nginx:1.27"
DIGEST = "sha256:" + "d" * 64


def container(name: str, image: str, *, port: bool = False, **env: str) -> run_v2.Container:
    return run_v2.Container(
        name=name,
        image=image,
        ports=[run_v2.ContainerPort(container_port=8080)] if port else [],
        env=[run_v2.EnvVar(name=key, value=value) for key, value in env.items()],
    )


def deployed(
    world: World,
    *containers: run_v2.Container,
    labels: dict[str, str] | None = None,
    kind: Kind = "service",
    more: str = "",
) -> Verdict:
    """The verdict on a revision of these containers."""
    name = world.cloud.deploy(WORKER, labels=labels or {}, service_labels={}, kind=kind)
    if kind == "job":
        world.cloud.jobs[name].template.template.containers = list(containers)
    else:
        world.cloud.revisions[name].containers = list(containers)
    world.toml += f'kind = "{kind}"\n{more}'
    return world.verdict()


def drifted(world: World) -> tuple[str, str]:
    """An old commit and the target, five relevant commits apart."""
    return world.first, [world.change() for _ in range(5)][-1]


@pytest.mark.parametrize("kind", ["service", "worker-pool", "job"])
@pytest.mark.parametrize("turned", [False, True])
def test_no_container_vouches_for_another(world: World, kind: Kind, turned: bool) -> None:
    """The front is current and the worker is not, whichever of them stands first, whoever has the port."""
    old, new = drifted(world)
    front = container("front", f"{OWN}/front:{new}", port=kind == "service")
    both = [front, container("w", f"{OWN}/w:{old}")]
    verdict = deployed(world, *(both[::-1] if turned else both), kind=kind)
    assert verdict.decision == "deny"
    assert {"evidence-conflict", "too-many-commits-behind"} <= set(codes(verdict))
    assert {live.container: live.commits_behind for live in verdict.report.live} == {"front": 0, "w": 5}
    assert any("w: 5 relevant commits behind" in reason.message for reason in verdict.reasons)


def test_containers_of_one_commit_agree(world: World) -> None:
    _, new = drifted(world)
    verdict = deployed(
        world, container("front", f"{OWN}/front:{new}", port=True), container("w", f"{OWN}/w:{new}")
    )
    assert (verdict.decision, codes(verdict), verdict.report.status) == ("allow", [], "identical")


def test_containers_whose_relevant_files_are_equal_agree(world: World) -> None:
    """A build with a cache makes no new image where nothing relevant changed."""
    world.history.commit({"docs/readme.md": "more"})
    new = world.history.git("rev-parse", "main").strip()
    verdict = deployed(
        world, container("front", f"{OWN}/front:{new}", port=True), container("w", f"{OWN}/w:{world.first}")
    )
    assert (verdict.decision, codes(verdict)) == ("allow", ["content-identical"])


def test_a_container_that_names_no_commit_is_unknown_beside_one_that_does(world: World) -> None:
    _, new = drifted(world)
    verdict = deployed(
        world, container("front", f"{OWN}/front:{new}", port=True), container("w", f"{OWN}/w@{DIGEST}")
    )
    assert (verdict.decision, codes(verdict)) == ("deny", ["unknown-drift"])
    assert "container w: nothing about the live revision names a commit" in verdict.reasons[0].message


def test_a_label_of_the_revision_speaks_for_all_of_its_containers(world: World) -> None:
    _, new = drifted(world)
    images = [container("front", f"{OWN}/front@{DIGEST}", port=True), container("w", f"{OWN}/w@{DIGEST}")]
    verdict = deployed(world, *images, labels={"commit-sha": new})
    assert (verdict.decision, len(verdict.report.live)) == ("allow", 2)


def test_a_stale_variable_of_one_container_is_a_conflict(world: World) -> None:
    """Two variables of one container are weak; a container that has no other mark runs what its own says."""
    old, new = drifted(world)
    verdict = deployed(
        world,
        container("front", f"{OWN}/front", port=True, BUILD_COMMIT=new),
        container("w", f"{OWN}/w", BUILD_COMMIT=old),
    )
    assert "evidence-conflict" in codes(verdict)


def test_sidecars_from_elsewhere_stay_out_and_are_listed(world: World) -> None:
    old, _ = drifted(world)
    verdict = deployed(
        world,
        container("proxy", NGINX, port=True),
        container("w", f"{OWN}/w:{old}"),
        container("sql", "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.11"),
    )
    (live,) = verdict.report.live
    assert (live.commit, live.commits_behind, live.container) == (old, 5, None)
    assert live.sidecars == (
        f"proxy ({NGINX})",
        "sql (gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.11)",
    )
    assert json.loads(verdict.model_dump_json())["report"]["live"][0]["sidecars"] == list(live.sidecars)


def test_the_named_container_alone_counts(world: World) -> None:
    old, new = drifted(world)
    verdict = deployed(
        world,
        container("front", f"{OWN}/front:{old}", port=True),
        container("w", f"{OWN}/w:{new}"),
        more='container = "w"\n',
    )
    assert (verdict.decision, [live.container for live in verdict.report.live]) == ("allow", ["w"])


def test_a_revision_without_the_named_container_is_unknown(world: World) -> None:
    _, new = drifted(world)
    verdict = deployed(world, container("main", f"{OWN}/w:{new}"), more='container = "w"\n')
    assert (verdict.decision, codes(verdict)) == ("deny", ["unknown-drift"])
    assert "there is no container w" in verdict.reasons[0].message
    assert "there: main" in verdict.reasons[0].message


def test_the_only_container_needs_no_name(world: World) -> None:
    """What `gcloud run deploy` makes has none; the key may be there before the second container is."""
    _, new = drifted(world)
    assert deployed(world, container("", f"{OWN}/w:{new}"), more='container = "w"\n').decision == "allow"


def test_a_required_variable_is_due_in_each_container(world: World) -> None:
    """Nobody says for which it is; the message names the one that lacks it."""
    _, new = drifted(world)
    verdict = deployed(
        world,
        container("front", f"{OWN}/front:{new}", port=True, MODEL="m"),
        container("w", f"{OWN}/w:{new}"),
        more='required_env = ["MODEL"]\n',
    )
    assert codes(verdict) == ["required-env-missing"]
    assert "container w: the live revision has no value for MODEL" in verdict.reasons[0].message


def test_a_ledger_has_no_containers(world: World) -> None:
    world.toml += 'live = "ledger"\ncontainer = "w"\n'
    with pytest.raises(DriftConfigError, match="container needs live"):
        world.settings()


def test_a_worker_from_elsewhere_that_names_its_commit_by_a_variable_counts(world: World) -> None:
    """Images are kept in a project of their own, and named by digest; no sidecar carries our variables."""
    old, new = drifted(world)
    front = container("front", f"{OWN}/front:{new}", port=True)
    worker = container("w", f"{SHARED}/w@{DIGEST}", BUILD_COMMIT=old)
    verdict = deployed(world, front, worker, container("nginx", NGINX))
    assert {live.container: live.commits_behind for live in verdict.report.live} == {"front": 0, "w": 5}
    assert verdict.decision == "deny"


def counted(*images: str, project: str = "test-project") -> list[str]:
    """The images of the containers that count; the first has the port."""
    reader = Containers(
        project=project,
        named=None,
        label_keys=(),
        env_keys=("GIT_SHA",),
        tag_pattern=None,
        kept_env=(),
        kept_labels=(),
    )
    made = [container(f"c{n}", image, port=n == 0) for n, image in enumerate(images)]
    return [str(each.image) for each in reader.read("w-1", {}, made)]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([f"{OWN}/a:1", f"{OWN}/b:1"], [0, 1]),
        (["gcr.io/test-project/a", "gcr.io/test-project-2/b"], [0]),
        # An image project of the organisation: whose tag names a commit is ours, and so are its neighbours.
        ([f"{SHARED}/w:{'a' * 40}", "otel/collector:0.98"], [0]),
        (["nginx", f"{SHARED}/w:{'a' * 40}", f"{SHARED}/x@{DIGEST}"], [1, 2]),
        # Nothing tells whose they are: all of them count.
        ([f"{SHARED}/w@{DIGEST}", "otel/collector:0.98"], [0, 1]),
        (["nginx", "redis"], [0, 1]),
        (["nginx:20260205", f"{OWN}/w:1"], [1]),
        (["images/w:" + "0" * 40, f"{OWN}/w:1"], [0, 1]),
        (["images/w:" + "0" * 39, f"{OWN}/w:1"], [1]),
        (["nginx"], [0]),
    ],
)
def test_which_containers_count(images: list[str], expected: list[int]) -> None:
    assert counted(*images) == [images[index] for index in expected]


def test_a_project_of_a_domain_is_the_own_one_too() -> None:
    images = ["gcr.io/example.com/shop/w", "gcr.io/example.org/shop/w"]
    assert counted(*images, project="example.com:shop") == images[:1]


def test_an_own_container_more_takes_none_away() -> None:
    """Whatever stands beside it: what counted goes on counting."""
    kinds = [f"{OWN}/a:1", f"{SHARED}/w:{'a' * 40}", f"{SHARED}/b", NGINX]
    for size in (1, 2, 3):
        for images in itertools.product(kinds, repeat=size):
            if any(image.startswith(OWN) for image in images):
                assert set(counted(*images)) <= set(counted(*images, f"{OWN}/more:1"))


def test_two_images_of_one_commit_side_by_side_are_no_conflict() -> None:
    """The front and the worker are two images; the worker of the revision before has to be the same one."""

    def one(revision: str, name: str, digit: str) -> LiveRevision:
        (found,) = Containers(
            project="test-project",
            named=name,
            label_keys=("c",),
            env_keys=(),
            tag_pattern=None,
            kept_env=(),
            kept_labels=(),
        ).read(revision, {"c": "a" * 40}, [container(name, f"{OWN}/{name}@sha256:{digit * 64}")])
        return found

    live = Live(
        kind="service",
        project="p",
        region="r",
        revisions=(one("w-2", "front", "1"), one("w-2", "w", "2")),
        others=(one("w-1", "front", "1"), one("w-1", "w", "3")),
    )
    digests = [f"sha256:{digit * 64}" for digit in "123"]
    images = {digest: Image(digest=digest, config=digest, labels={}) for digest in digests}
    (finding,) = image_claims.findings(live, images, {}, ())
    assert finding.data["revisions"] == ["w-2, container w", "w-1, container w"]
