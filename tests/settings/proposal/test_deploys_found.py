"""Where a repository deploys, what names the commit there, and the line that would: as people write it."""

from __future__ import annotations

import pytest

from drift_gate.settings.proposal import deploys
from drift_gate.settings.proposal.deploys import Deploy

ACTION = """\
jobs:
  deploy:
    env:
      IMAGE: us-docker.pkg.dev/p/images/api
    steps:
      - id: deploy
        uses: google-github-actions/deploy-cloudrun@v3
        with:
          service: api  # the one in front
          region: us-west2
          image: ${{ env.IMAGE }}:latest
          EXTRA
      - name: the next step
        run: echo service
"""
BLOCK = """\
steps:
  - name: gcr.io/google.com/cloudsdktool/cloud-sdk
    entrypoint: gcloud
    args:
      - run
      - deploy
      - ${_SERVICE}
      # where it runs
      - --region=$_REGION
      - '--image=us-docker.pkg.dev/$PROJECT_ID/images/api:$COMMIT_SHA'
    waitFor: ["-"]
substitutions:
  _SERVICE: api
  _REGION: us-west2
"""
FLOW = """\
steps:
- name: google/cloud-sdk
  args: ['gcloud', 'beta', 'run', 'worker-pools', 'deploy', 'puller',
         '--image', 'gcr.io/$PROJECT_ID/puller', '--labels', 'team=x,git-sha=$SHORT_SHA']
- name: gcr.io/cloud-builders/docker
  args: ['run', 'deploy', 'nothing']
"""
TERRAFORM = """\
variable "name" { default = "api" }
locals {
  image = "us-docker.pkg.dev/p/images/${var.name}"
}
resource "google_cloud_run_v2_service" "front" {
  name     = "${var.name}-prod"
  location = "us-west2"
  template {
    containers {
      image = "${local.image}:1"
    }
  }
}
resource "google_cloud_run_v2_job" "nightly" {
  name = "nightly"
  template {
    labels = {
      commit-sha = var.commit
    }
    template {
      containers { image = local.image }
    }
  }
}
resource "google_cloud_run_service" "old" {
  name = "old"
  template {
    spec {
      containers {
        image = "gcr.io/p/old"
      }
    }
  }
}
"""


def of(path: str, text: str) -> Deploy:
    """The only deploy in ``text``."""
    [found] = deploys.found({path: text})
    return found


class TestShell:
    def test_a_command_over_several_lines(self) -> None:
        """Variables of the file are put in their places; the command ends with its last line."""
        text = (
            "set -e\nSERVICE=${1:-api}\nexport REGION=us-west2\n"
            'gcloud --quiet run deploy "$SERVICE" \\\n  --region $REGION \\\n'
            '  --image "$IMAGE" --project=p-1\n'
            "echo --labels commit-sha=no\n"
        )
        found = of("bin/deploy.sh", text)
        assert found == Deploy(
            "bin/deploy.sh",
            4,
            "service",
            '--labels "commit-sha=$(git rev-parse HEAD)"',
            service="api",
            image="$IMAGE",
            project="p-1",
            region="us-west2",
        )

    @pytest.mark.parametrize(
        ("command", "stamp"),
        [
            ("gcloud run deploy api --image i --labels commit-sha=$SHA", "label commit-sha"),
            ("gcloud run deploy api --image i --update-labels=team=x,git-sha=$SHA", "label git-sha"),
            ("gcloud run deploy api --image gcr.io/p/api:$GITHUB_SHA", "the image's tag"),
            ("gcloud run deploy api --image gcr.io/p/api:$(git rev-parse HEAD)", "the image's tag"),
            ("gcloud run deploy api --image i --set-env-vars A=1,GIT_SHA=$SHA", "variable GIT_SHA"),
            ("gcloud run deploy api --image gcr.io/p/shark:latest", ""),
            ("gcloud run deploy api --image gcr.io/p/api --labels team=x", ""),
        ],
    )
    def test_what_names_the_commit(self, command: str, stamp: str) -> None:
        """A label, the image's tag, or a variable, as the gate reads them from what is live."""
        assert of("deploy.sh", command).stamp == stamp

    def test_labels_that_are_there_stay(self) -> None:
        """The line to write has both."""
        found = of("deploy.sh", "gcloud run jobs deploy n --image i --labels team=x && echo done\n")
        assert (found.kind, found.service) == ("job", "n")
        assert found.addition == '--labels "team=x,commit-sha=$(git rev-parse HEAD)"'

    def test_an_update_deploys_only_with_an_image(self) -> None:
        """``services update --image`` is a deploy under another name, with another option for labels."""
        settings = "gcloud run services update api --memory 1Gi\n"
        assert deploys.found({"x.sh": settings}) == ()
        found = of("x.sh", settings + "gcloud run services update api --image gcr.io/p/api\n")
        assert (found.line, found.addition.split()[0]) == (2, "--update-labels")

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("Makefile", "$(shell git rev-parse HEAD)"),
            (".gitlab-ci.yml", "$CI_COMMIT_SHA"),
            (".github/workflows/x.yml", "$GITHUB_SHA"),
            ("cloudbuild.yaml", "$COMMIT_SHA"),
        ],
    )
    def test_the_commit_as_its_runner_calls_it(self, path: str, value: str) -> None:
        """The same command needs another line wherever it stands."""
        found = of(path, "  script: |\n    gcloud run deploy api --source .\n")
        assert found.addition == f'--labels "commit-sha={value}"'
        assert (found.source, found.line) == (".", 2)

    def test_a_page_counts_where_nothing_else_deploys(self) -> None:
        """What a person pastes is a deploy as well, as long as no program does it."""
        page = {"README.md": "Deploy:\n\n    gcloud run deploy api --source .\n"}
        assert [each.where for each in deploys.found(page)] == ["README.md:3"]

    def test_prose_that_names_the_command_deploys_nothing(self) -> None:
        """Its next word is no service."""
        told = "What `gcloud run deploy` does:\ngcloud run deploy the service.\n"
        page = {"README.md": f"{told}\n```sh\ngcloud run deploy api --source .\n```\n{told}"}
        assert [(each.where, each.service) for each in deploys.found(page)] == [("README.md:5", "api")]

    @pytest.mark.parametrize("placeholder", ["SERVICE", "…", "my_service", "-", "<name>"])
    def test_a_placeholder_is_no_name(self, placeholder: str) -> None:
        page = {"README.md": f"```\ngcloud run deploy {placeholder} --image i\n```\n"}
        assert [each.service for each in deploys.found(page)] == [None]
        both = deploys.found({**page, "deploy.sh": "gcloud run deploy api --image i\n"})
        assert [each.where for each in both] == ["deploy.sh:1"]


class TestAction:
    def test_it_sets_the_label_itself(self) -> None:
        """Nothing is to be added; the keys are those of the step alone."""
        found = of(".github/workflows/d.yml", ACTION.replace("          EXTRA\n", ""))
        assert (found.line, found.service, found.region) == (7, "api", "us-west2")
        assert found.image == "us-docker.pkg.dev/p/images/api:latest"
        assert found.stamp.startswith("label commit-sha")

    def test_unless_it_is_told_not_to(self) -> None:
        found = of(".github/workflows/d.yml", ACTION.replace("EXTRA", "skip_default_labels: true"))
        assert (found.stamp, found.addition) == ("", "labels: commit-sha=${{ github.sha }}")

    def test_or_takes_a_file_of_metadata(self) -> None:
        found = of(".github/workflows/d.yml", ACTION.replace("EXTRA", "metadata: run/service.yaml"))
        assert found.stamp == ""
        assert "run/service.yaml" in found.addition


class TestCloudBuild:
    def test_a_block_of_arguments(self) -> None:
        """Substitutions are known; the list ends where the step goes on."""
        found = of("cloudbuild.yaml", BLOCK)
        assert (found.line, found.service, found.region) == (4, "api", "us-west2")
        assert found.stamp == "the image's tag"
        assert found.addition == "- --labels=commit-sha=$COMMIT_SHA"

    def test_arguments_in_brackets(self) -> None:
        """Over several lines, of a beta command; another step's words are no deploy."""
        found = of("cloudbuild.yaml", FLOW)
        assert (found.kind, found.service, found.image) == (
            "worker-pool",
            "puller",
            "gcr.io/$PROJECT_ID/puller",
        )
        assert found.stamp == "label git-sha"
        assert found.addition.startswith("'--labels=team=x,git-sha=$SHORT_SHA,commit-sha=")


class TestTerraform:
    def test_resources(self) -> None:
        """Names and images with defaults and locals in their places, and the line of each template."""
        front, nightly, old = deploys.found({"infra/run.tf": TERRAFORM})
        assert (front.service, front.region, front.line) == ("api-prod", "us-west2", 8)
        assert front.image == "us-docker.pkg.dev/p/images/api:1"
        assert (front.stamp, front.addition) == ("", "labels = { commit-sha = var.commit }")
        assert (nightly.kind, nightly.stamp) == ("job", "label commit-sha")
        assert (old.line, old.addition) == (27, "metadata { labels = { commit-sha = var.commit } }")

    def test_an_image_that_is_looked_up(self) -> None:
        """Locals of locals, and the name of a piece of data."""
        text = (
            'locals {\n  host = "gcr.io/p"\n'
            '  image = "${data.docker_registry_image.api.name}@${local.digest}"\n}\n'
            'data "docker_registry_image" "api" {\n  name = "${local.host}/api"\n}\n'
            'resource "google_cloud_run_v2_service" "api" {\n  name = "api"\n'
            "  template {\n    containers {\n      image = local.image # by its digest\n    }\n  }\n}\n"
        )
        [found] = deploys.found({"x.tf": text})
        assert found.image == "gcr.io/p/api@${local.digest}"

    def test_a_name_that_is_computed(self) -> None:
        """The name is not known, and Terraform's own name for it is a hint."""
        [found] = deploys.found(
            {"x.tf": 'resource "google_cloud_run_v2_service" "api" {\n  name = var.name\n}\n'}
        )
        assert (found.service, found.hint) == (None, "api")
