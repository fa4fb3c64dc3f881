"""What a build takes beside its Dockerfile: an upload, named contexts, a base, what is made, submodules."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from relevance.test_selection import Link, selected, tree_of

from drift_gate.facts import Entry
from drift_gate.relevance.narrowing import deciding, image_of
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection, Tree

FILES: Mapping[str, str] = {
    "Dockerfile": "FROM python\nWORKDIR /app\nCOPY worker/ ./\nCOPY --from=shared . ./shared/\n"
    "CMD python main.py\n",
    "worker/main.py": "import shared.odds\n",
    "packages/shared/__init__.py": "",
    "packages/shared/odds.py": "ODDS = 1\n",
    "packages/shared/idle.py": "",
    "packages/shared/table.csv": "",
}


def of(rules: Rules, **texts: str | None) -> Selection:
    """What counts of ``FILES`` with other texts; ``__`` stands for a slash, ``_`` for a dot."""
    named = {name.replace("__", "/").replace("_", "."): text for name, text in texts.items()}
    return selected(rules, {path: text for path, text in {**FILES, **named}.items() if text is not None})


class TestAStage:
    """Of several that start a program nobody but the build's command line says which is the image."""

    STAGED = "FROM python AS prod\nCOPY worker/ ./\nCMD python main.py\nFROM python AS try\nCMD python -m x\n"

    def test_it_is_a_finding_until_it_is_declared(self) -> None:
        (finding,) = [
            each
            for each in of(Rules(dockerfile="Dockerfile"), Dockerfile=self.STAGED).findings
            if each.code == "copy-not-in-git"
        ]
        assert finding.data == {"source": "prod"}
        assert 'say which is built: stage = "try", or what `--target` names' in finding.message

    @pytest.mark.parametrize(("stage", "counts"), [("prod", True), ("try", False)])
    def test_what_it_copies_counts(self, stage: str, counts: bool) -> None:
        selection = of(Rules(dockerfile="Dockerfile", stage=stage), Dockerfile=self.STAGED)
        assert not [each for each in selection.findings if each.code == "copy-not-in-git"]
        assert ("worker/main.py" in selection.because) == counts


class TestANamedContext:
    def test_it_is_a_finding_until_its_folder_is_declared(self) -> None:
        """Nobody could say otherwise what of the image was never looked at."""
        (finding,) = [
            each for each in of(Rules(dockerfile="Dockerfile")).findings if each.data == {"source": "shared"}
        ]
        assert finding.code == "copy-not-in-git"
        assert 'build_contexts = {shared = "FOLDER"}' in finding.message

    def test_its_files_are_copied_like_those_of_the_context(self) -> None:
        """And narrowed down like them."""
        selection = of(Rules(dockerfile="Dockerfile", build_contexts=(("shared", "packages/shared"),)))
        assert selection.findings == ()
        assert selection.because.keys() == {
            "Dockerfile",
            "worker/main.py",
            "packages/shared/__init__.py",
            "packages/shared/odds.py",
            "packages/shared/table.csv",
        }
        assert selection.unused == ("packages/shared/idle.py",)

    def test_its_name_is_of_no_case_and_a_mount_may_bind_it(self) -> None:
        """`RUN --mount` makes it count in the image's making."""
        dockerfile = FILES["Dockerfile"].replace(
            "COPY --from=shared . ./shared/", "RUN --mount=from=Shared,target=/m true"
        )
        selection = of(
            Rules(dockerfile="Dockerfile", build_contexts=(("SHARED", "packages/shared"),)),
            Dockerfile=dockerfile,
        )
        assert "packages/shared/table.csv" in selection.inputs

    @pytest.mark.parametrize("name", ["nginx", "node:22", "ghcr.io/astral-sh/uv", "0"])
    def test_an_image_is_none(self, name: str) -> None:
        """By its form, or since everybody knows it."""
        dockerfile = FILES["Dockerfile"].replace("--from=shared", f"--from={name}")
        selection = of(Rules(dockerfile="Dockerfile"), Dockerfile=dockerfile)
        assert not [each for each in selection.findings if each.code == "copy-not-in-git" and name != "0"]

    def test_one_that_is_declared_as_an_image_is_no_finding(self) -> None:
        """A private image without a tag."""
        rules = Rules(dockerfile="Dockerfile", build_contexts=(("shared", "docker-image://shared"),))
        assert not [each for each in of(rules).findings if each.code == "copy-not-in-git"]


BASE = "FROM python\nWORKDIR /app\nENV MODE=x\nCOPY packages/shared/ ./shared/\n"
ON_BASE = (
    "FROM node AS js\nFROM registry.example/p/base:1 AS run\nFROM run\nCOPY worker/ ./\nCMD python main.py\n"
)


class TestABaseOfTheSameRepository:
    @pytest.mark.parametrize(
        ("path", "images"),
        [
            ("base/Dockerfile", ()),
            ("docker/Dockerfile.base", ()),
            ("base.Dockerfile", ()),
            ("b/Dockerfile", ("base",)),
        ],
    )
    def test_it_is_a_finding_until_it_is_declared(self, path: str, images: tuple[str, ...]) -> None:
        """A service of that name, or a Dockerfile that is called so."""
        files = {**FILES, "Dockerfile": ON_BASE, path: BASE}
        selection = selected(Rules(dockerfile="Dockerfile", images=images), files)
        (finding,) = [each for each in selection.findings if each.code == "copy-not-in-git"]
        assert f'base = "{images[0] if images else path}"' in finding.message

    def test_any_other_base_is_none(self) -> None:
        """Also where the repository has other Dockerfiles."""
        files = {**FILES, "Dockerfile": ON_BASE, "tools/Dockerfile": BASE}
        selection = selected(Rules(dockerfile="Dockerfile", images=("worker",)), files)
        assert not [each for each in selection.findings if each.code == "copy-not-in-git"]

    def test_it_brings_its_paths_along(self) -> None:
        """Its Dockerfile, what that copies, its folder to work in; of the last stage alone."""
        files = {**FILES, "Dockerfile": ON_BASE, "base/Dockerfile": BASE}
        rules = Rules(dockerfile="Dockerfile", base=Rules(dockerfile="base/Dockerfile"))
        selection = selected(rules, files)
        assert selection.findings == ()
        assert selection.entries == ("/app/main.py",)
        assert selection.because["base/Dockerfile"] == ("Dockerfile: the image is built from it",)
        assert selection.because["packages/shared/odds.py"] == ("worker/main.py",)
        assert "packages/shared/idle.py" in selection.unused
        assert "base/Dockerfile" in deciding(rules, tree_of(files).files)

    def test_one_whose_dockerfile_is_gone_is_doubt(self) -> None:
        """Misspelt, say; a base that everybody knows needs none."""
        rules = Rules(dockerfile="Dockerfile", base=Rules(dockerfile="bas/Dockerfile"))
        selection = selected(rules, {**FILES, "Dockerfile": ON_BASE})
        assert "there is no bas/Dockerfile" in selection.findings[0].message
        assert selection.unused == selection.entries == ()
        public = "FROM python:3\nCOPY worker/ /\nCMD python /main.py\n"
        assert selected(rules, {**FILES, "Dockerfile": public}).entries == ("/main.py",)


MADE = "FROM python\nWORKDIR /app\nCOPY worker/ ./\nCOPY worker/shared/ ./shared/\nCMD python main.py\n"


class TestWhatTheBuildMakes:
    def test_the_finding_says_what_to_write(self) -> None:
        """A place that is merely hidden would hide its sources' changes."""
        (finding,) = [
            each
            for each in of(Rules(dockerfile="Dockerfile"), Dockerfile=MADE).findings
            if "which git" in each.message
        ]
        assert 'generated = {"worker/shared" = ["THEIR/FOLDER/"]}' in finding.message

    def test_what_it_is_made_from_counts_in_its_place(self) -> None:
        """All of it, since it may be made into anything; and it is imported from where it will lie."""
        made = (("worker/shared/", ("/packages/shared/",)),)
        selection = of(
            Rules(dockerfile="Dockerfile", generated=("worker/shared/",), made_from=made), Dockerfile=MADE
        )
        assert selection.findings == ()
        assert selection.because["packages/shared/odds.py"] == ("worker/main.py",)
        assert selection.because["packages/shared/idle.py"] == ("Dockerfile: COPY worker/",)
        assert selection.unused == ()

    def test_a_folder_may_be_copied_as_a_whole(self) -> None:
        """`cp -r packages/shared worker/`."""
        made = (("worker/", ("packages/shared/",)),)
        dockerfile = MADE.replace("COPY worker/shared/ ./shared/\n", "")
        selection = of(Rules(dockerfile="Dockerfile", made_from=made), Dockerfile=dockerfile)
        assert selection.because["packages/shared/odds.py"] == ("worker/main.py",)

    def test_it_counts_wherever_it_is_not_copied_too(self) -> None:
        """One file, made of patterns."""
        made = (("worker/gen.py", ("*.csv",)),)
        because = of(Rules(dockerfile="Dockerfile", made_from=made), Dockerfile=MADE).because
        assert because["packages/shared/table.csv"] == ("Dockerfile: COPY worker/",)
        because = of(Rules(dockerfile="Dockerfile", made_from=(("elsewhere/", ("*.csv",)),))).because
        assert because["packages/shared/table.csv"] == ("generated: elsewhere/ is made from it",)


def with_module(dockerfile: str, rules: Rules, **texts: str) -> Selection:
    """A tree whose ``vendor/lib`` is a submodule."""
    files = {"Dockerfile": dockerfile, "main.py": "", "vendor/lib": "", **texts}
    tree = tree_of(files)
    listing = {**tree.files, "vendor/lib": Entry("160000", "f" * 40)}
    found = image_of(rules, Tree(listing, files.get))
    return Selection(because=found.because, findings=found.findings)


@pytest.mark.parametrize(
    "source",
    [
        "vendor/lib/src",
        "vendor/lib/a.py",
        "vendor/lib/*.py",
        "vendor/*/src",
        "vendor/lib",
        "vendor",
        "v*/l*/x",
    ],
)
@pytest.mark.parametrize("generated", [(), ("vendor/",)])
def test_what_lies_in_a_submodule_stands_for_it(source: str, generated: tuple[str, ...]) -> None:
    """What it holds is not known; which commit of it is. No declaration hides that."""
    dockerfile = f"FROM python\nCOPY {source} /app/\nCMD python /app/main.py\n"
    selection = with_module(dockerfile, Rules(dockerfile="Dockerfile", generated=generated))
    assert "vendor/lib" in selection.because
    assert [each for each in selection.findings if each.code == "copy-not-in-git"] == []


def test_a_part_of_a_submodule_that_is_taken_back_counts() -> None:
    """The ignore file leaves out the folder above."""
    dockerfile = "FROM python\nCOPY vendor/lib/src /app/\n"
    texts = {".dockerignore": "vendor\n!vendor/lib/src\n"}
    assert "vendor/lib" in with_module(dockerfile, Rules(dockerfile="Dockerfile"), **texts).because
    texts = {".dockerignore": "vendor\n"}
    assert "vendor/lib" not in with_module(dockerfile, Rules(dockerfile="Dockerfile"), **texts).because


class TestWhatGcloudSends:
    RULES = Rules(dockerfile="Dockerfile", build_contexts=(("shared", "packages/shared"),))

    def test_what_is_left_out_is_not_in_the_image(self) -> None:
        """The ignore file counts, what it names does not."""
        because = of(self.RULES, _gcloudignore="*.csv\nDockerfile\n").because
        assert because[".gcloudignore"] == (".gcloudignore: what gcloud does not send",)
        assert "packages/shared/table.csv" not in because
        assert "Dockerfile" in because

    def test_an_ignore_file_that_is_not_sent_leaves_nothing_out(self) -> None:
        """Docker never sees it."""
        texts = {"_dockerignore": "worker/x.txt\n", "worker__x_txt": ""}
        assert "worker/x.txt" not in of(self.RULES, **texts).because
        assert "worker/x.txt" in of(self.RULES, _gcloudignore=".dockerignore\n", **texts).because

    def test_one_that_gcloud_refuses_is_doubt(self) -> None:
        """Everything counts, and it is said why."""
        selection = of(self.RULES, _gcloudignore="#!include:gone\n")
        assert "packages/shared/idle.py" in selection.because
        assert any("gone" in each.message for each in selection.findings)

    def test_a_link_to_a_folder_is_a_folder(self) -> None:
        """As gcloud walks."""
        files = {**FILES, "worker/data": Link("../packages/shared"), ".gcloudignore": "data/\n"}
        assert "worker/data" not in selected(self.RULES, files).because
