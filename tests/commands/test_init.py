"""From a repository without a ``drift.toml`` to the first verdict: six layouts, and what may be missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from grpc import StatusCode

from drift_gate.commands import main
from drift_gate.settings.file import Settings, load
from drift_gate.settings.proposal import toml
from drift_gate.settings.proposal.plan import Proposal, Service
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.testing.history import Content
from drift_gate.wiring import proposals

PROJECT, REGION = "test-project", "us-west2"
IMAGES = f"{REGION}-docker.pkg.dev/{PROJECT}/images"
PYTHON = "FROM python:3.11\nWORKDIR /app\n"


@dataclass
class Stranger:
    """A repository that the gate has never seen, and the Cloud Run that it deploys to."""

    folder: Path
    cloud: FakeCloudRun

    def holds(self, files: Mapping[str, Content]) -> str:
        """Make the repository, with these files at main; returns its commit."""
        history = HistoryBuilder(self.folder)
        commit = history.commit(files)
        history.check_out("main")
        return commit

    @property
    def environ(self) -> dict[str, str]:
        """An environment that owes nothing to the tester's."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CLOUD_RUN_EMULATOR_HOST": self.cloud.host,
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_RUN_REGION": REGION,
        }

    def proposal(self, **changed: str | None) -> Proposal:
        """What ``init`` would write, in an environment with some variables ``changed`` (None: taken away)."""
        environ = {name: value for name, value in (self.environ | changed).items() if value is not None}
        return proposals.propose(self.folder, environ)

    def declared(self, proposal: Proposal) -> Settings:
        """The settings that the proposal makes: every file of ``init`` has to be valid."""
        (self.folder / "drift.toml").write_text(toml.written(proposal), encoding="utf-8")
        return load(self.folder, self.environ)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    """Nothing is committed and nothing deployed yet."""
    with FakeCloudRun(project=PROJECT, region=REGION) as cloud:
        yield Stranger(tmp_path / "acme", cloud)


def by_name(proposal: Proposal) -> dict[str, Service]:
    return {each.match.name: each for each in proposal.services}


class TestLayouts:
    def test_one_service_at_the_root(self, stranger: Stranger) -> None:
        """Whatever the service is called: one Dockerfile and one service belong together."""
        commit = stranger.holds(
            {
                "Dockerfile": PYTHON + "COPY app/ app/\nCMD python -m app.main\n",
                "app/main.py": "import app.a\n",
            }
            | {"app/__init__.py": "", "app/a.py": "", "app/tool.py": "", "README.md": ""}
        )
        stranger.cloud.deploy("frontdoor", image=f"{IMAGES}/frontdoor:v1", commit=commit)
        found = stranger.proposal()
        [service] = found.services
        assert (service.rules.dockerfile, service.rules.context) == ("Dockerfile", ".")
        assert service.counted.entries == ("/app/app/main.py",)
        assert service.counted.files == 4, "the Dockerfile, the package, main and what it imports"
        assert service.carrier == f"revision-label commit-sha={commit}"
        settings = stranger.declared(found)
        assert settings.batch_service() == "frontdoor"
        assert settings.services["frontdoor"].enforcement == "warn"
        assert settings.services["frontdoor"].target_ref == "main"

    def test_services_in_folders(self, stranger: Stranger) -> None:
        """By the folder's name, each from its own folder; the worker gates the batch; strangers are named."""
        stranger.holds(
            {
                "services/api/Dockerfile": PYTHON + "COPY . .\nCMD uvicorn app:app\n",
                "services/api/app.py": "",
                "services/batch_worker/Dockerfile": PYTHON + "COPY work.py .\nCMD python work.py\n",
                "services/batch_worker/work.py": "",
                "services/api/tests/Dockerfile": "FROM scratch\n",
                "deploy.sh": "#!/bin/sh\nSVC=api\n"
                f"gcloud run deploy $SVC \\\n  --image {IMAGES}/api:latest\n",
            }
        )
        for name in ("api", "batch-worker", "billing"):
            stranger.cloud.deploy(name, image=f"{IMAGES}/{name}:latest")
        found = stranger.proposal()
        services = by_name(found)
        assert {name: (one.rules.dockerfile, one.rules.context) for name, one in services.items()} == {
            "api": ("services/api/Dockerfile", "services/api"),
            "batch-worker": ("services/batch_worker/Dockerfile", "services/batch_worker"),
        }
        assert services["batch-worker"].counted.entries == ("/app/work.py",)
        assert found.elsewhere == ("billing",)
        [deploy] = services["api"].unstamped
        assert (deploy.where, deploy.addition) == (
            "deploy.sh:3",
            '--labels "commit-sha=$(git rev-parse HEAD)"',
        )
        assert stranger.declared(found).batch_service() == "batch-worker"

    def test_dockerfiles_on_a_shelf(self, stranger: Stranger) -> None:
        """``docker/NAME.Dockerfile`` and ``Dockerfile.NAME`` are built from the root."""
        stranger.holds(
            {
                "docker/predictor.Dockerfile": PYTHON
                + "COPY predictor/ predictor/\nCMD python -m predictor\n",
                "predictor/__main__.py": "",
                "Dockerfile.grader": PYTHON + "COPY grader/grade.py .\nCMD python grade.py\n",
                "grader/grade.py": "",
            }
        )
        stranger.cloud.deploy("predictor", image=f"{IMAGES}/predictor:1")
        stranger.cloud.deploy("acme-grader", image=f"{IMAGES}/grader:1")
        found = stranger.proposal()
        assert {name: (one.rules.dockerfile, one.rules.context) for name, one in by_name(found).items()} == {
            "predictor": ("docker/predictor.Dockerfile", "."),
            "acme-grader": ("Dockerfile.grader", "."),
        }
        assert by_name(found)["predictor"].counted.entries == ("/app/predictor/__main__.py",)
        assert set(stranger.declared(found).services) == {"predictor", "acme-grader"}

    def test_a_start_command_says_where_the_image_is_built_from(self, stranger: Stranger) -> None:
        """``COPY .`` lacks nothing wherever it is built; what is started is there from one place alone."""
        stranger.holds(
            {
                "apps/billing/Dockerfile": PYTHON + "COPY . .\nCMD python -m apps.billing\n",
                "apps/billing/__main__.py": "import apps.money\n",
                "apps/money.py": "",
                "apps/mail/Dockerfile": PYTHON + "COPY . .\nCMD python mail.py\n",
                "apps/mail/mail.py": "",
            }
        )
        for name in ("billing", "mail"):
            stranger.cloud.deploy(name, image=f"{IMAGES}/{name}:1")
        services = by_name(stranger.proposal())
        assert {name: one.rules.context for name, one in services.items()} == {
            "billing": ".",
            "mail": "apps/mail",
        }
        assert services["billing"].counted.entries == ("/app/apps/billing/__main__.py",)

    def test_two_services_of_one_image(self, stranger: Stranger) -> None:
        """A build in the repository says from which Dockerfile the image is that both of them run."""
        commit = stranger.holds(
            {
                "backend/Dockerfile": PYTHON + "COPY backend/ backend/\nCMD python -m backend.api\n",
                "backend/__init__.py": "",
                "backend/api.py": "",
                "cloudbuild.yaml": "steps:\n"
                "- name: gcr.io/cloud-builders/docker\n"
                f"  args: [build, -f, backend/Dockerfile, -t, '{IMAGES}/monolith:$COMMIT_SHA', .]\n"
                "- name: gcr.io/cloud-builders/gcloud\n"
                "  args:\n"
                "    - run\n"
                "    - deploy\n"
                "    - api\n"
                f"    - --image={IMAGES}/monolith:$COMMIT_SHA\n",
            }
        )
        for name in ("api", "admin"):
            stranger.cloud.deploy(name, image=f"{IMAGES}/monolith:{commit}")
        found = stranger.proposal()
        services = by_name(found)
        assert {(one.rules.dockerfile, one.rules.context) for one in services.values()} == {
            ("backend/Dockerfile", ".")
        }
        assert set(services) == {"api", "admin"}
        assert services["api"].carrier.startswith("image-tag ")
        assert not services["api"].unstamped, "the image's tag is the commit"
        assert set(stranger.declared(found).services) == {"api", "admin"}

    def test_a_worker_pool_and_a_job(self, stranger: Stranger) -> None:
        """Each kind is listed and declared as what it is."""
        stranger.holds(
            {
                "puller/Dockerfile": PYTHON + "COPY . .\nCMD python pull.py\n",
                "puller/pull.py": "",
                "nightly/Dockerfile": PYTHON + "COPY . .\nCMD python night.py\n",
                "nightly/night.py": "",
            }
        )
        stranger.cloud.deploy("puller", kind="worker-pool", image=f"{IMAGES}/puller:1")
        stranger.cloud.deploy("nightly", kind="job", image=f"{IMAGES}/nightly:1")
        found = stranger.proposal()
        settings = stranger.declared(found)
        assert {name: one.kind for name, one in settings.services.items()} == {
            "puller": "worker-pool",
            "nightly": "job",
        }
        assert settings.batch_service() == "puller"

    def test_no_dockerfile(self, stranger: Stranger) -> None:
        """What buildpacks make of a folder: all of it counts, and of a repository everything but our file."""
        stranger.holds(
            {
                "server/main.py": "",
                "server/Procfile": "web: gunicorn main:app\n",
                "tools/x.py": "",
                "Makefile": f"deploy:\n\tgcloud run deploy server --source server --region {REGION}\n"
                "\tgcloud run deploy site --source .\n",
            }
        )
        for name in ("server", "site"):
            stranger.cloud.deploy(
                name, image=f"{REGION}-docker.pkg.dev/{PROJECT}/cloud-run-source-deploy/{name}"
            )
        found = stranger.proposal()
        services = by_name(found)
        assert services["server"].rules.paths == ("/server/",)
        assert services["server"].counted.files == 2
        assert services["site"].counted.files == 4
        assert services["server"].unstamped[0].addition.endswith('"commit-sha=$(shell git rev-parse HEAD)"')
        assert stranger.declared(found).services["site"].ignore == ("/drift.toml",)


class TestWhatIsMissing:
    FILES: Mapping[str, Content] = {
        "worker/Dockerfile": PYTHON + "COPY . .\nCMD python run.py\n",
        "worker/run.py": "",
        ".github/workflows/deploy.yml": "on: push\njobs:\n  deploy:\n    steps:\n"
        "      - uses: google-github-actions/deploy-cloudrun@v3\n"
        f"        with:\n          service: worker\n          region: {REGION}\n"
        f"          project_id: {PROJECT}\n          image: {IMAGES}/worker:1\n",
    }

    def test_no_gcloud(self, stranger: Stranger) -> None:
        """Where gcloud is set to nothing, the deploy in the repository says where."""
        stranger.holds(self.FILES)
        stranger.cloud.deploy("worker", image=f"{IMAGES}/worker:1")
        found = stranger.proposal(CLOUDSDK_CORE_PROJECT=None, CLOUDSDK_RUN_REGION=None)
        place = ".github/workflows/deploy.yml:5"
        assert (found.project, found.region) == ((PROJECT, place), (REGION, place))
        assert not found.unasked

    @pytest.mark.parametrize("begun", ["a\0b", "../" * 3, "x" * 300])
    def test_gclouds_files_are_damaged(self, stranger: Stranger, begun: str) -> None:
        """Half a disk was lost, say: what they name is no file, and they are set to nothing."""
        stranger.holds(self.FILES)
        folder = stranger.folder / ".config" / "gcloud"
        (folder / "configurations").mkdir(parents=True)
        (folder / "active_config").write_text(begun)
        found = stranger.proposal(CLOUDSDK_CORE_PROJECT=None, CLOUDSDK_RUN_REGION=None)
        assert found.project == (PROJECT, ".github/workflows/deploy.yml:5")

    def test_no_rights(self, stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
        """The file is made of the repository alone, and the line that grants the role is said."""
        stranger.holds(self.FILES)
        stranger.cloud.deploy("worker", image=f"{IMAGES}/worker:1")
        for folder in ("Services", "WorkerPools", "Jobs"):
            stranger.cloud.fault(f"List{folder}", code=StatusCode.PERMISSION_DENIED)
        assert run(stranger, CLOUDSDK_CORE_ACCOUNT="ada@example.com") == 0
        shown = capsys.readouterr().out
        assert "--member user:ada@example.com --role roles/run.viewer" in shown
        assert "deployment-drift doctor && deployment-drift check --verbose" in shown
        settings = load(stranger.folder, stranger.environ)
        assert settings.services["worker"].dockerfile == "worker/Dockerfile"
        assert settings.services["worker"].context == "worker"

    def test_no_login(self, stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
        """As without rights, with the line that logs in."""
        stranger.holds(self.FILES)
        lost = str(stranger.folder / "no-such-file.json")
        assert run(stranger, CLOUD_RUN_EMULATOR_HOST=None, GOOGLE_APPLICATION_CREDENTIALS=lost) == 0
        shown = capsys.readouterr().out
        assert shown.count("gcloud auth application-default login") == 1, "once, and not for each kind"
        assert "[services.worker]" in (stranger.folder / "drift.toml").read_text()

    def test_one_kind_that_is_not_listed(
        self, stranger: Stranger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is declared as the repository says, and there is a first verdict all the same."""
        pool = "#!/bin/sh\ngcloud beta run worker-pools deploy puller --image x/worker:1\n"
        stranger.holds({**self.FILES, "deploy.sh": pool})
        stranger.cloud.deploy("worker", image=f"{IMAGES}/worker:1")
        stranger.cloud.fault("ListWorkerPools", code=StatusCode.PERMISSION_DENIED)
        found = stranger.proposal()
        assert list(found.unasked) == ["worker-pool"]
        assert {name: one.match.kind for name, one in by_name(found).items()} == {
            "worker": "service",
            "puller": "worker-pool",
        }
        (stranger.folder / "inside").mkdir()
        assert run(stranger, "-C", "inside") == 0
        shown = capsys.readouterr().out
        assert "let the account in use read Cloud Run" in shown
        assert "git add ../drift.toml" in shown
        assert "worker  DENY (not enforced" in shown

    def test_no_trace_of_where(self, stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
        """The keys stand there to be filled in, the name is called a guess, and nothing is made up."""
        stranger.holds({"Dockerfile": PYTHON + "COPY . .\n", "x.py": ""})
        assert run(stranger, CLOUDSDK_CORE_PROJECT=None, CLOUDSDK_RUN_REGION=None) == 0
        shown = capsys.readouterr().out
        assert "acme  (a guess)" in shown
        assert "say the project and the region: in drift.toml, or with" in shown
        assert "rm drift.toml && deployment-drift init --project … --region …\n" in shown, (
            "it overwrites none"
        )
        text = (stranger.folder / "drift.toml").read_text()
        assert '# project = "…"' in text
        assert '# region = "…"' in text
        assert "[services.acme]  # a guess" in text

    def test_a_likeness_is_a_comment(self, stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
        """A wrong Dockerfile would hide changes: until somebody takes it up, every file counts."""
        stranger.holds(
            {"site/Dockerfile": PYTHON, "api/Dockerfile": PYTHON}
            | {"deploy.sh": "gcloud run deploy lit-site --image $IMAGE\n"}
        )
        stranger.cloud.deploy("lit-site", image=f"{IMAGES}/front:1")
        assert run(stranger) == 0
        assert "may be site/Dockerfile, by its name" in capsys.readouterr().out
        assert '# dockerfile = "site/Dockerfile"' in (stranger.folder / "drift.toml").read_text()
        declared = load(stranger.folder, stranger.environ).services["lit-site"]
        assert (declared.dockerfile, declared.paths, declared.ignore) == (None, None, ("/drift.toml",))

    def test_nothing_of_this_repository_is_live(self, stranger: Stranger) -> None:
        """What the repository deploys is declared, and what is live there is named beside it."""
        stranger.holds(self.FILES)
        stranger.cloud.deploy("billing", image="docker.io/other/billing:1")
        stranger.cloud.deploy("grafana", image="docker.io/grafana/grafana:1")
        found = stranger.proposal()
        assert list(by_name(found)) == ["worker"]
        assert found.elsewhere == ("billing", "grafana")


def run(stranger: Stranger, *arguments: str, **changed: str | None) -> int:
    """``deployment-drift init`` in this process, with the stranger's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (stranger.environ | changed).items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        patch.chdir(stranger.folder)
        return main.main(["init", *arguments])


class TestCommand:
    def test_to_the_first_verdict(self, stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
        """One command: three files, the doctor, a verdict that is kept; the next one overwrites nothing."""
        commit = stranger.holds(TestWhatIsMissing.FILES)
        stranger.cloud.deploy("worker", commit=commit, image=f"{IMAGES}/worker:{commit}")
        assert run(stranger) == 0
        shown = capsys.readouterr().out
        assert "written: .drift/.gitignore, .drift/drift.schema.json, drift.toml\n" in shown
        assert "worker  ALLOW" in shown
        assert (stranger.folder / ".drift" / "journal.sqlite").exists()
        assert HistoryBuilder(stranger.folder).git("status", "--porcelain") == "?? drift.toml"
        text = (stranger.folder / "drift.toml").read_text()
        assert text.startswith("#:schema .drift/drift.schema.json\n")
        (stranger.folder / "drift.toml").write_text("# mine\n")
        assert run(stranger) == 2
        assert (stranger.folder / "drift.toml").read_text() == "# mine\n"

    def test_dry_run(self, stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
        """All of the file is printed, and nothing is there afterwards."""
        stranger.holds(TestWhatIsMissing.FILES)
        stranger.cloud.deploy("worker", image=f"{IMAGES}/worker:1")
        assert run(stranger, "--dry-run", "--region", REGION) == 0
        shown = capsys.readouterr().out
        expected = toml.written(proposals.propose(stranger.folder, stranger.environ, region=REGION))
        assert shown.endswith(f"drift.toml would be:\n\n{expected}")
        assert sorted(each.name for each in stranger.folder.iterdir()) == [".git", ".github", "worker"]

    def test_where_it_cannot_begin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No repository, one without a commit, a file that is named elsewhere: 2, and nothing is written."""
        monkeypatch.chdir(tmp_path)
        assert main.main(["init"]) == 2
        HistoryBuilder(tmp_path / "empty")
        monkeypatch.chdir(tmp_path / "empty")
        assert main.main(["init"]) == 2
        assert main.main(["--config", "other.toml", "init"]) == 2
        assert [each.name for each in (tmp_path / "empty").iterdir()] == [".git"]
