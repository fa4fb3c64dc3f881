"""Which live workload is made of this repository, and of which Dockerfile: nothing is claimed by likeness."""

from __future__ import annotations

from collections.abc import Mapping

from drift_gate.facts import Evidence, LiveRevision
from drift_gate.settings.proposal import matching
from drift_gate.settings.proposal.matching import Match, Shelf
from drift_gate.settings.proposal.repository import Source


def shelf(*paths: str, texts: Mapping[str, str] | None = None) -> Shelf:
    return Shelf.of("acme", Source(frozenset((*paths, *(texts or {}))), texts or {}))


def live(image: str, commit: str = "") -> LiveRevision:
    label = Evidence(carrier="revision-label", key="commit-sha", value=commit)
    return LiveRevision(revision=None, percent=100, image=image, evidence=(label,) if commit else ())


def only(found: matching.Matched) -> Match:
    [match] = found.here
    return match


def test_a_name_that_resembles_another_is_no_proof() -> None:
    """Neither does it make a service this repository's, nor a Dockerfile its own: too little would count."""
    own = shelf("api/Dockerfile", texts={"deploy.sh": "gcloud run deploy api-prod --image $IMAGE\n"})
    found = matching.matched(own, {"service": {"api-prod": live("r/x"), "api-billing": live("r/y")}}, ())
    assert (only(found).name, found.elsewhere) == ("api-prod", ("api-billing",))
    assert only(found).made.dockerfile is None
    assert only(found).made.resembling == "api/Dockerfile"


def test_a_commit_of_the_history_is_proof() -> None:
    """Whatever the service is called, and whatever its image is."""
    services = {"x": live("r/one", "a" * 40), "y": live("r/two", "b" * 40)}
    found = matching.matched(shelf("src/main.py"), {"service": services}, {"a" * 40})
    assert (only(found).name, found.elsewhere) == ("x", ("y",))


def test_a_build_outweighs_a_name() -> None:
    """Of a Dockerfile called so and one that is built for it, the latter is right."""
    texts = {"build.sh": "docker build -f legacy/Dockerfile --target prod -t gcr.io/p/api .\n"}
    own = shelf("api/Dockerfile", "legacy/Dockerfile", texts=texts)
    made = only(matching.matched(own, {"service": {"api": live("gcr.io/p/api:1")}}, ())).made
    assert (made.dockerfile, made.contexts, made.because) == (
        "legacy/Dockerfile",
        (".",),
        "build.sh:1 builds its image",
    )
    assert [rules.stage for rules in made.ways(None)] == ["prod"]


def test_a_deploy_from_source_means_the_folder_it_is_written_for() -> None:
    """The nearest with a Dockerfile; where a script goes elsewhere first, nobody can say which one it is."""
    script = "gcloud run deploy api --source .\n"
    texts = {"services/api/deploy.sh": script}
    own = shelf("Dockerfile", "services/api/Dockerfile", texts=texts)
    assert only(matching.matched(own, {}, ())).made.dockerfile == "services/api/Dockerfile"
    own = shelf("Dockerfile", "other/x.py", texts={"deploy.sh": "cd other\n" + script})
    made = only(matching.matched(own, {"service": {"api": live("r/api"), "b": live("r/b")}}, ())).made
    assert (made.dockerfile, made.contexts) == (None, ())
    assert only(
        matching.matched(shelf(texts={"x.sh": "gcloud run deploy a --source nowhere\n"}), {}, ())
    ).made == (matching.Made())


def test_beside_the_deploy() -> None:
    """The only build of the file that deploys it, or the Dockerfile in its folder."""
    text = "docker build -t $IMAGE app\ngcloud run deploy api --image $IMAGE\n"
    built = only(matching.matched(shelf("app/Dockerfile", "b/Dockerfile", texts={"d.sh": text}), {}, ())).made
    assert (built.dockerfile, built.because) == ("app/Dockerfile", "d.sh:1 builds what d.sh:2 deploys")
    text = "gcloud run deploy api --image $IMAGE\n"
    beside = only(
        matching.matched(shelf("app/Dockerfile", "b/Dockerfile", texts={"app/d.sh": text}), {}, ())
    ).made
    assert (beside.dockerfile, beside.because) == ("app/Dockerfile", "it lies beside app/d.sh")


def test_the_only_one_of_each() -> None:
    """One Dockerfile and one workload belong together; with a second workload nobody can say."""
    own = shelf("Dockerfile")
    assert only(matching.matched(own, {"service": {"x": live("r/y")}}, ())).made.dockerfile == "Dockerfile"
    two = matching.matched(own, {"service": {"x": live("r/y")}, "job": {"z": live("r/z")}}, ())
    assert two.elsewhere == ("x", "z")
    assert (only(two).name, only(two).guess) == ("acme", True)


def test_a_guess_is_of_the_kind_that_is_deployed() -> None:
    """Terraform that computes the name of its only workload says at least that it is a job."""
    texts = {"run.tf": 'resource "google_cloud_run_v2_job" "job" {\n  name = "${var.project}-job"\n}\n'}
    match = only(matching.matched(shelf("docker/nightly/Dockerfile", texts=texts), {}, ()))
    assert (match.name, match.kind, match.guess) == ("nightly", "job", True)


def test_one_name_of_two_kinds() -> None:
    """A name is one table of the file: it is declared once."""
    both: matching.Live = {"service": {"api": live("r/api")}, "job": {"api": live("r/api")}}
    assert only(matching.matched(shelf("api/Dockerfile"), both, ())).kind == "service"
