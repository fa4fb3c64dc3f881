"""The rules put together over small trees: what is relevant, why, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from drift_gate.facts import Entry, Finding
from drift_gate.relevance import selection
from drift_gate.relevance.narrowing import Files, deciding, image_of, select
from drift_gate.relevance.python.config_names import ENDINGS, SCRIPTS, names_of
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.imports import facts_of
from drift_gate.relevance.python.literals import literals_of, words_of
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection, Tree
from drift_gate.relevance.union import Union

DOCKERFILE = "FROM python\nWORKDIR /app\nCOPY worker/ ./\nCOPY shared/ ./shared/\nCMD python main.py\n"
FILES: Mapping[str, str] = {
    "Dockerfile": DOCKERFILE,
    "worker/main.py": "import features\n",
    "worker/features.py": "from shared import odds\n",
    "worker/notes.txt": "read at run time, perhaps\n",
    "worker/tool.py": "open('shared/grades.json')\n",
    "shared/odds.py": "ODDS = 1\n",
    "shared/grades.json": "{}\n",
    "docs/readme.md": "words\n",
}
IMAGE = Rules(dockerfile="Dockerfile")
COMPUTED = "from importlib import import_module\nimport os\nimport_module(os.environ['X'])\n"


class Link(str):
    """The text of a symbolic link: what it points to."""


def tree_of(files: Mapping[str, str | None]) -> Tree:
    """A tree of these texts; None stands for a file whose content is not to be had."""
    modes = {path: "120000" if isinstance(text, Link) else "100644" for path, text in files.items()}
    return Tree({path: Entry(mode, path) for path, mode in modes.items()}, files.get)


def selected(rules: Rules, files: Mapping[str, str | None]) -> Selection:
    """What ``rules`` select of ``files``."""
    tree = tree_of(files)

    def source(path: str) -> bytes:
        return (files[path] or "").encode()

    found = image_of(rules, tree)

    def facts(path: str) -> ImportFacts:
        return names_of(source(path)) if path.endswith((*ENDINGS, *SCRIPTS)) else facts_of(source(path))

    def literals(path: str) -> frozenset[str]:
        return literals_of(source(path)) if path.endswith(".py") else words_of(source(path))

    return select(rules, found, tree.files, facts, literals)


def changed(**texts: str | None) -> dict[str, str | None]:
    """``FILES`` with other texts; ``__`` stands for a slash and ``_`` for a dot, None takes a file away."""
    named = {name.replace("__", "/").replace("_", "."): text for name, text in texts.items()}
    return {path: text for path, text in {**FILES, **named}.items() if text is not None}


def starting(command: str, **texts: str | None) -> dict[str, str | None]:
    """``FILES`` with another last line of the Dockerfile."""
    return changed(Dockerfile=DOCKERFILE.replace("CMD python main.py", command), **texts)


class TestAnImage:
    def test_what_counts_and_why(self) -> None:
        """What the worker imports, with the chain; what else is copied, with the COPY; the Dockerfile."""
        selection = selected(IMAGE, FILES)
        assert selection == Selection(
            because={
                "Dockerfile": ("Dockerfile: the image is built from it",),
                "worker/main.py": ("entry point",),
                "worker/features.py": ("worker/main.py",),
                "shared/odds.py": ("worker/features.py", "worker/main.py"),
                "worker/notes.txt": ("Dockerfile: COPY worker/",),
            },
            inputs=frozenset({"Dockerfile"}),
            unused=("worker/tool.py",),
            elsewhere={"shared/grades.json": ("worker/tool.py",)},
            entries=("/app/main.py",),
            base="python",
            remarks=("entry point: /app/main.py (python main.py)",),
        )

    @pytest.mark.parametrize(
        "texts",
        [
            {"shared__grades_json": None, "requirements_txt": "x\n"},
            {"shared__lock__uv_lock": "x"},
            {"shared__package-lock_json": "{}"},
            {"shared__odds_pyx": "x"},
            {"shared__odds_c": "x"},
            {"shared__base_html": "x"},
            {"shared__all_sql": "x"},
            {"shared__start_sh": "x"},
            {"shared__model_json": "x"},
            {"shared__alembic_ini": "x"},
        ],
        ids=str,
    )
    def test_what_builds_the_image_or_is_found_unnamed_stays(self, texts: dict[str, str | None]) -> None:
        """Whatever another program calls it: only data that people write can be that program's alone."""
        files = changed(**texts)
        file = next(path for path in files if path not in FILES)
        files["shared/bump.py"] = f"open({file!r})"
        files["Dockerfile"] = DOCKERFILE.replace("CMD", "COPY requirements.txt .\nCMD")
        selection = selected(IMAGE, files)
        assert file in selection.because
        assert file not in selection.elsewhere

    @pytest.mark.parametrize(
        ("line", "texts"),
        [
            ("ENV GRADES=/app/shared/grades.json", {}),
            ("ENV GRADES=/app/shared", {}),
            ("RUN test -s shared/grades.json", {}),
            ("COPY shared/grades.json /etc/", {}),
            ("COPY shared/*.json /etc/", {}),
            ("RUN <<EOF\ncat shared/grades.json\nEOF", {}),
            ("HEALTHCHECK CMD cat grades.json", {}),
            ("RUN true", {"shared__more_yaml": "extends: grades.json\n"}),
            ("RUN true", {"shared__more_yaml": "a: b.yml\n", "shared__b_yml": "c: grades.json\n"}),
            ("RUN true", {"shared__run_sh": "cat shared/grades.json\n"}),
            ("RUN true", {"shared__run_sh": "cat shared/*\n"}),
            ("RUN true", {"worker__tool_py": None, "shared__setup_py": "data = ['shared/grades.json']\n"}),
        ],
    )
    def test_data_that_the_image_itself_names_stays(self, line: str, texts: dict[str, str | None]) -> None:
        """The Dockerfile, a script and a file that counts are the worker's own side, one through another."""
        files = changed(**texts)
        files["Dockerfile"] = DOCKERFILE.replace("CMD", f"{line}\nCMD")
        assert "shared/grades.json" in selected(IMAGE, files).because

    def test_data_that_an_unused_file_alone_names_stays_out_with_it(self) -> None:
        """Data of another program that names more of its data: both are that program's."""
        both = {"worker__tool_py": "open('shared/grades.json'); open('shared/b.yml')"}
        selection = selected(IMAGE, changed(**both, shared__b_yml="c: grades.json\n"))
        assert set(selection.elsewhere) == {"shared/grades.json", "shared/b.yml"}

    def test_ignore_wins_over_everything(self) -> None:
        """Over the closure and over the COPY."""
        because = selected(Rules(dockerfile="Dockerfile", ignore=("odds.py", "*.txt")), FILES).because
        assert set(because) == {"Dockerfile", "worker/main.py", "worker/features.py"}

    def test_paths_and_build_files_count_beside_it(self) -> None:
        """Declared by hand, they need not be copied; the image's own reason is the nearer one."""
        rules = Rules(
            dockerfile="Dockerfile", paths=("/docs/", "/worker/notes.txt"), build_files=("setup.cfg", "gone")
        )
        because = selected(rules, changed(setup_cfg="")).because
        assert because["docs/readme.md"] == ("paths: /docs/",)
        assert because["setup.cfg"] == ("build_files",)
        assert because["worker/notes.txt"] == ("Dockerfile: COPY worker/",)
        assert "gone" not in because

    def test_they_count_whoever_else_names_them(self) -> None:
        """Data that a foreign module alone names, and a module that nobody imports."""
        by_paths = Rules(dockerfile="Dockerfile", paths=("/shared/*.json", "tool.py"))
        for rules in (by_paths, Rules(dockerfile="Dockerfile", build_files=tuple(FILES))):
            selection = selected(rules, FILES)
            assert {"shared/grades.json", "worker/tool.py"} <= selection.because.keys()
            assert (selection.unused, selection.elsewhere) == ((), {})

    def test_what_only_decides_on_the_image_is_not_in_it(self) -> None:
        """The Dockerfile, its ignore file, what is declared beside it, what an earlier stage alone copies."""
        taking = DOCKERFILE.replace("CMD", "COPY --from=build /out ./static/\nCMD")
        two_stages = "FROM node AS build\nCOPY package.json .\nRUN make\n" + taking
        files = changed(Dockerfile=two_stages, package_json="{}", _dockerignore="*.md\n", setup_cfg="")
        rules = Rules(dockerfile="Dockerfile", paths=("/docs/",), build_files=("setup.cfg",))
        union = Union(rules, (selected(rules, files),))
        making = {"Dockerfile", ".dockerignore", "package.json", "docs/readme.md", "setup.cfg"}
        assert union.ends[0].inputs == making
        assert all(map(union.relevant, making))
        assert not any(map(union.in_image, making))
        assert union.in_image("worker/main.py")
        assert not union.in_image("worker/tool.py")

    def test_a_pattern_that_matches_nothing_is_idle(self) -> None:
        """A folder that moved; the others do their work."""
        rules = Rules(dockerfile="Dockerfile", paths=("/docs/", "/dcos/"))
        assert selected(rules, FILES).idle == ("/dcos/",)

    def test_a_file_that_only_unreached_code_names_is_left_out(self) -> None:
        """Until the worker names it as well."""
        assert "shared/grades.json" not in selected(IMAGE, FILES).because
        both = selected(IMAGE, changed(worker__main_py="import features\nopen('shared/grades.json')\n"))
        assert both.because["shared/grades.json"] == ("Dockerfile: COPY shared/",)

    def test_the_dockerfile_is_not_there(self) -> None:
        """The whole build context counts, and nothing that is selected can be trusted."""
        rules = Rules(dockerfile="image/Dockerfile", build_files=("docs/readme.md",))
        selection = selected(rules, FILES)
        why = "there is no image/Dockerfile"
        assert selection.nothing == why
        assert set(selection.because) == set(FILES)
        assert selection.because["shared/odds.py"] == (f"the whole build context: {why}",)
        assert selection.because["docs/readme.md"] == ("build_files",)
        assert (selection.unused, selection.entries, selection.findings) == ((), (), ())
        assert selection.inputs == set(FILES)  # of no file it is known that an image holds it

    def test_the_context_of_a_dockerfile_that_is_not_there(self) -> None:
        """Files outside of it could not be copied; a folder whose name begins alike is another one."""
        rules = Rules(dockerfile="worker/Dockerfile", context="worker")
        files = changed(workers__x_py="")
        assert set(selected(rules, files).because) == {path for path in FILES if path.startswith("worker/")}

    def test_the_context_can_be_a_folder(self) -> None:
        """Sources are seen from there."""
        rules = Rules(dockerfile="worker/Dockerfile", context="worker")
        text = "FROM python\nWORKDIR /app\nCOPY *.py ./\nCMD python main.py\n"
        files = changed(worker__Dockerfile=text, worker__features_py="")
        assert set(selected(rules, files).because) == {
            "worker/Dockerfile",
            "worker/main.py",
            "worker/features.py",
        }

    def test_a_link_brings_its_target(self) -> None:
        """The link and the file are relevant; the file is read as a module where the link stands."""
        files = changed(shared__odds_py=Link("real_odds.py"), shared__real_odds_py=None)
        files["shared/real_odds.py"] = "ODDS = 1\n"
        because = selected(IMAGE, files).because
        chain = ("worker/features.py", "worker/main.py")
        assert (because["shared/odds.py"], because["shared/real_odds.py"]) == (chain, chain)

    def test_what_is_copied_through_a_link(self) -> None:
        """The link is a source like what it leads to."""
        text = "FROM python\nWORKDIR /app\nCOPY code/ ./\nCMD python main.py\n"
        because = selected(IMAGE, changed(Dockerfile=text, code=Link("worker"))).because
        assert (because["worker/main.py"], because["code"]) == (("entry point",), ("Dockerfile: COPY code/",))

    def test_a_link_whose_text_is_not_to_be_had(self) -> None:
        """It leads nowhere, and stops nothing."""
        tree = Tree({**tree_of(FILES).files, "worker/link.py": Entry("120000", "x")}, FILES.get)
        files = image_of(IMAGE, tree)
        assert files.because["worker/link.py"] == ("Dockerfile: COPY worker/",)
        assert "/app/link.py" not in files.layout


class TestEntryPoints:
    @pytest.mark.parametrize(
        "given", ["main.py", "/app/main.py", "./x/../main.py", "worker/main.py", "./worker/main.py"]
    )
    def test_a_given_one_is_a_path_of_the_image_or_of_the_repository(self, given: str) -> None:
        """Seen from the working folder; all mean the same file, and the Dockerfile agrees."""
        selection = selected(Rules(dockerfile="Dockerfile", entrypoint=(given,)), starting("CMD ./run"))
        assert selection.entries == ("/app/main.py",)
        assert selection.because["shared/odds.py"] == ("worker/features.py", "worker/main.py")
        assert selection.findings == ()

    def test_a_given_one_wins_and_says_so(self) -> None:
        """Over what the Dockerfile starts."""
        selection = selected(Rules(dockerfile="Dockerfile", entrypoint=("tool.py", "main.py")), FILES)
        assert selection.entries == ("/app/tool.py", "/app/main.py")
        assert selection.because["worker/tool.py"] == ("entry point",)
        assert selection.remarks == (
            "entry point: /app/main.py (python main.py)",
            "the given entry points win: /app/tool.py, /app/main.py; the Dockerfile starts /app/main.py",
        )

    def test_all_that_the_dockerfile_starts_is_told(self) -> None:
        """Also what a script starts."""
        files = starting('CMD ["./start.sh"]', worker__start_sh="#!/bin/sh\npython main.py\npython tool.py\n")
        rules = Rules(dockerfile="Dockerfile", entrypoint=("features.py",))
        told = (
            "the given entry points win: /app/features.py; the Dockerfile starts /app/main.py, /app/tool.py"
        )
        assert selected(rules, files).remarks[-1] == told

    def test_the_same_ones_in_another_order_need_no_remark(self) -> None:
        rules = Rules(dockerfile="Dockerfile", entrypoint=("main.py", "tool.py"))
        remarks = selected(rules, starting("CMD python tool.py & python main.py")).remarks
        assert [each for each in remarks if "win" in each] == []

    def test_a_module_is_left_as_it_is(self) -> None:
        """A dotted name is no path; it is looked for under the import roots."""
        selection = selected(Rules(dockerfile="Dockerfile", entrypoint=("shared.odds",)), FILES)
        assert selection.entries == ("shared.odds",)
        assert selection.because["shared/odds.py"] == ("entry point",)

    def test_without_a_start_that_is_understood_nothing_is_narrowed(self) -> None:
        """Every copied file counts, and the policy hears why."""
        selection = selected(IMAGE, starting("CMD ./run"))
        assert {"worker/tool.py", "shared/grades.json"} <= set(selection.because)
        assert (selection.entries, selection.unused, selection.nothing) == ((), (), None)
        (finding,) = selection.findings
        assert finding.code == "computed-import"
        said = "what the worker can reach is not known, so more counts than need be: "
        assert finding.message == said + str(finding.data["why"])
        assert "./run" in str(finding.data["why"])

    def test_a_build_that_cannot_be_told_narrows_nothing(self) -> None:
        """A source that only the build knows: both doubts are told, and a given entry point is no cure."""
        files = starting("COPY $WHAT ./\nCMD ./run")
        doubts = [str(each.data["why"]) for each in selected(IMAGE, files).findings]
        assert [("./run" in each, "only the build knows WHAT" in each) for each in doubts] == [
            (True, False),
            (False, True),
        ]
        given = selected(Rules(dockerfile="Dockerfile", entrypoint=("main.py",)), files)
        assert given.entries == ()
        assert "docs/readme.md" in given.because
        assert len(given.findings) == 1

    def test_entry_points_that_are_nowhere(self) -> None:
        """Nothing is reached, so nothing can be trusted; the copied files stay relevant all the same."""
        selection = selected(Rules(dockerfile="Dockerfile", entrypoint=("gone.py", "lost.py")), FILES)
        assert selection.nothing == "the entry points (gone.py, lost.py) are not there"
        assert {"worker/tool.py", "worker/main.py"} <= set(selection.because)
        assert (selection.unused, selection.remarks[-1]) == (
            (),
            "lost.py: this entry point is not in the image",
        )

    def test_what_can_name_any_module_narrows_nothing(self) -> None:
        """Code out of a text in a reached file: every module counts, and the policy hears why."""
        selection = selected(IMAGE, changed(worker__features_py="eval(input())\n"))
        assert "worker/tool.py" in selection.because
        assert [(each.code, each.data["why"]) for each in selection.findings] == [
            ("computed-import", "worker/features.py uses eval, which can name any module")
        ]

    def test_and_the_finding_begins_with_the_cure(self) -> None:
        selection = selected(IMAGE, changed(worker__features_py="import joblib\njoblib.load(FILE)\n"))
        (finding,) = selection.findings
        assert finding.message.startswith("entrypoint in drift.toml answers for what joblib.load loads; what")
        assert finding.message.endswith("worker/features.py uses joblib.load, which can name any module")

    def test_a_given_entry_point_answers_for_what_else_is_loaded(self) -> None:
        """Whoever names what starts and loads has said all; a computed import is not covered by that."""
        rules = Rules(dockerfile="Dockerfile", entrypoint=("main.py",))
        selection = selected(rules, changed(worker__features_py="eval(input())\n"))
        assert "worker/tool.py" not in selection.because
        assert selection.findings == ()
        assert selection.remarks[-1] == (
            "worker/features.py uses eval: entrypoint answers for what that loads"
        )
        computed = selected(rules, changed(worker__features_py=COMPUTED))
        assert "worker/tool.py" in computed.because
        assert len(computed.findings) == 1

    @pytest.mark.parametrize("text", ["eval(input())\n", COMPUTED])
    def test_without_an_image_less_may_count(self, text: str) -> None:
        """What is imported outside of ``paths`` is not known: it is said on the verdict."""
        rules = Rules(entrypoint=("worker/main.py",), paths=("/worker/",))
        (finding,) = selected(rules, changed(worker__features_py=text)).findings
        assert finding.message.startswith(
            "what the worker can reach is not known, so relevant files may be missing from paths: "
        )

    def test_import_roots_are_seen_from_the_working_folder(self) -> None:
        """And absolute ones from the root; without any, from where the entry point lies."""
        files = changed(worker__main_py="import odds\n")
        assert selected(IMAGE, files).remarks[-1] == "no import root leads to odds: taken for shared/odds.py"
        for root in ("shared", "./shared/", "/app/shared", "lib/../shared"):
            rules = Rules(dockerfile="Dockerfile", import_roots=(root,))
            assert image_of(rules, tree_of(files)).roots == ("/app/shared",)
            assert selected(rules, files).because["shared/odds.py"] == ("worker/main.py",)

    def test_roots_that_do_not_fit_lose_nothing(self) -> None:
        """Folders copied one by one to where no root leads: what is imported counts, the root is named."""
        copies = "FROM python\nWORKDIR /app\nCOPY worker/ ./src/\nCOPY shared/ /srv/lib/shared/\n"
        files = changed(Dockerfile=f"{copies}CMD python src/main.py\n")
        rules = Rules(dockerfile="Dockerfile", import_roots=(".", "src", "/opt/none"))
        selection = selected(rules, files)
        assert selection.because["shared/odds.py"] == ("worker/features.py", "worker/main.py")
        assert "worker/tool.py" in selection.unused
        assert [(each.code, each.message) for each in selection.findings] == [
            (
                "path-matches-nothing",
                "the folder /app of import_roots leads to nothing: no import is found there, "
                "and shared.odds is found nowhere",
            ),
            (
                "path-matches-nothing",
                "the folder /opt/none of import_roots leads to nothing: the image has no such folder",
            ),
        ]
        assert "no import root leads to shared.odds: taken for shared/odds.py" in selection.remarks

    def test_a_root_that_no_import_needs_is_no_mistake(self) -> None:
        """A worker of one file imports nothing of its own."""
        rules = Rules(dockerfile="Dockerfile", import_roots=(".",))
        assert selected(rules, changed(worker__main_py="import numpy\n")).findings == ()

    def test_an_import_of_the_repository_that_the_image_knows_nothing_of(self) -> None:
        """It may be installed, or made by the build: every module counts, and the policy hears why."""
        files = changed(worker__main_py="import tools.extra\n", tools__extra_py="")
        copied = "FROM python\nWORKDIR /app\nCOPY worker/ ./\nCMD python main.py\n"
        selection = selected(IMAGE, files | {"Dockerfile": copied})
        assert "worker/tool.py" in selection.because
        (finding,) = selection.findings
        assert finding.code == "computed-import"
        assert finding.data["why"] == (
            "worker/main.py imports tools.extra, which the import roots do not lead to; "
            "the repository has tools/extra.py"
        )

    def test_the_roots_of_given_entry_points(self) -> None:
        """Where the Dockerfile says nothing: each file's folder once, then the working folder."""
        entries = ("main.py", "tool.py", "shared/odds.py", "shared.odds")
        files = image_of(Rules(dockerfile="Dockerfile", entrypoint=entries), tree_of(starting("USER me")))
        assert files.roots == ("/app", "/app/shared")

    def test_a_dockerfile_that_starts_nothing_has_a_working_folder(self) -> None:
        """Whoever declares the start there writes paths as the image's own command would."""
        rules = Rules(dockerfile="Dockerfile", entrypoint=("main.py",), import_roots=("shared",))
        files = image_of(rules, tree_of(starting("USER me")))
        assert (files.entries, files.roots) == (("/app/main.py",), ("/app/shared",))


class TestFindings:
    def test_a_computed_import(self) -> None:
        """Every copied module counts, a file that any of them names too, and the module is named."""
        selection = selected(IMAGE, changed(worker__features_py=COMPUTED))
        assert {"worker/tool.py", "shared/grades.json", "shared/odds.py"} <= set(selection.because)
        assert selection.unused == ()
        (finding,) = selection.findings
        why = "worker/features.py imports by a name that is computed"
        assert finding == Finding(
            code="computed-import",
            message=f"what the worker can reach is not known, so more counts than need be: {why}",
            data={"why": why},
        )

    def test_a_module_that_the_image_lacks(self) -> None:
        """With the chain that leads there."""
        (finding,) = selected(
            IMAGE, changed(shared__odds_py="import tools.extra\n", tools__extra_py="")
        ).findings
        assert finding == Finding(
            code="image-incomplete",
            message="the image lacks tools/extra.py, which is imported as tools.extra: "
            "tools/extra.py ← shared/odds.py ← worker/features.py ← worker/main.py",
            data={
                "module": "tools.extra",
                "path": "tools/extra.py",
                "chain": ["shared/odds.py", "worker/features.py", "worker/main.py"],
            },
        )

    def test_a_source_that_git_does_not_hold(self) -> None:
        """Told once per source, as it is written."""
        (finding,) = selected(IMAGE, starting("COPY /models/ ./models/\nCMD python main.py")).findings
        assert finding == Finding(
            code="copy-not-in-git",
            message="Dockerfile copies /models/, which git does not hold; if the build makes it of files of "
            'this repository, write generated = {"models" = ["THEIR/FOLDER/"]}, or name these files in '
            "paths; if of anything else, name it in generated",
            data={"source": "/models/"},
        )

    @pytest.mark.parametrize("pattern", ["/models/", "models", "/models/*", "/models/**", "mod*"])
    @pytest.mark.parametrize("source", ["models/", "/models", "./models/x/.."])
    def test_what_the_build_makes_is_no_finding(self, pattern: str, source: str) -> None:
        """``generated`` names the folder, or what lies in it."""
        files = starting(f"COPY {source} ./models/\nCMD python main.py")
        assert selected(Rules(dockerfile="Dockerfile", generated=(pattern,)), files).findings == ()

    def test_another_generated_folder_is_no_excuse(self) -> None:
        files = starting("COPY models/ ./models/\nCMD python main.py")
        rules = Rules(dockerfile="Dockerfile", generated=("/build/", "/data/"))
        assert [each.code for each in selected(rules, files).findings] == ["copy-not-in-git"]

    def test_remarks(self) -> None:
        """What may interest a person who asks, and no policy."""
        guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tool\nimport features\n"
        remarks = selected(IMAGE, changed(worker__main_py=guarded)).remarks
        assert remarks[1:] == ("worker/tool.py: reached by TYPE_CHECKING only, not counted",)

    def test_a_module_that_cannot_be_parsed(self) -> None:
        """The verdict says which, and of which Python; one that is not reached is nobody's business."""
        [finding] = selected(IMAGE, changed(shared__odds_py="type X[T] = @@", worker__tool_py="@@")).findings
        assert (finding.code, finding.data["path"]) == ("unparsed-module", "shared/odds.py")
        assert finding.message.startswith("shared/odds.py cannot be parsed by Python 3.")


class TestAFunctionWithoutAnImage:
    RULES = Rules(paths=("/worker/",), entrypoint=("worker/main.py",))

    def test_what_counts_and_why(self) -> None:
        """Its paths without the code that is not reached, and what it imports, listed or not."""
        selection = selected(self.RULES, changed(worker__main_py="from shared import odds\n"))
        assert selection.because == {
            "worker/main.py": ("entry point",),
            "shared/odds.py": ("worker/main.py",),
            "worker/notes.txt": ("paths: /worker/",),
        }
        assert selection.unused == ("worker/features.py", "worker/tool.py")
        assert (selection.entries, selection.idle) == (("/worker/main.py",), ())

    def test_what_only_builds_it_is_not_in_it(self) -> None:
        rules = Rules(paths=("/worker/",), entrypoint=("worker/main.py",), build_files=("setup.cfg",))
        selection = selected(rules, changed(setup_cfg=""))
        assert selection.inputs == {"setup.cfg"}
        assert selection.because["setup.cfg"] == ("build_files",)

    def test_nothing_can_be_missing_from_it(self) -> None:
        """The whole tree is there: a module that is nowhere is somebody else's package."""
        files = changed(worker__main_py="import shared.gone\nimport numpy\n")
        found = image_of(self.RULES, tree_of(files))
        assert (found.complete, found.layout["/docs/readme.md"]) == (True, "docs/readme.md")
        assert selected(self.RULES, files).findings == ()

    def test_a_module_outside_of_the_import_roots_is_not_missing(self) -> None:
        """The tree holds it elsewhere: it counts, and the root that does not lead there is named."""
        rules = Rules(paths=("/worker/",), entrypoint=("worker/main.py",), import_roots=("worker",))
        selection = selected(rules, changed(worker__main_py="import shared.odds\n"))
        assert selection.because["shared/odds.py"] == ("worker/main.py",)
        assert [each.code for each in selection.findings] == ["path-matches-nothing"]

    def test_its_roots(self) -> None:
        """The folder of each entry point that is a file, each once, then the root; or those given."""
        entries = ("worker/main.py", "worker/tool.py", "shared.odds", "gone/x.py")
        rules = Rules(paths=("/worker/",), entrypoint=entries)
        assert image_of(rules, tree_of(FILES)).roots == ("/worker", "/")
        given = Rules(paths=("/worker/",), entrypoint=entries, import_roots=("shared/", ".", "./worker"))
        assert image_of(given, tree_of(FILES)).roots == ("/shared", "/", "/worker")

    def test_without_paths_everything_counts_but_unreached_code(self) -> None:
        """The reason says that nothing was declared."""
        because = selected(Rules(entrypoint=("worker/main.py",)), FILES).because
        assert because["docs/readme.md"] == ("everything is relevant",)
        assert "worker/tool.py" not in because

    def test_a_link_among_the_paths_brings_its_target(self) -> None:
        """The file behind it counts because of the link, unless a pattern names it itself."""
        files = changed(worker__table_csv=Link("../data/table.csv"), data__table_csv="1\n", data__x_csv="")
        because = selected(self.RULES, files).because
        assert because["data/table.csv"] == ("link worker/table.csv",)
        assert "data/x.csv" not in because
        both = Rules(paths=("/worker/", "/data/table.csv"), entrypoint=("worker/main.py",))
        assert selected(both, files).because["data/table.csv"] == ("paths: /data/table.csv",)

    def test_a_link_elsewhere_brings_nothing(self) -> None:
        files = changed(docs__table_csv=Link("../data/table.csv"), data__table_csv="1\n")
        assert "data/table.csv" not in selected(self.RULES, files).because

    def test_a_link_to_a_module_counts_with_it(self) -> None:
        """Outside of the paths too: it is imported through the link, which may come to point elsewhere."""
        files = changed(worker__main_py="import lib.odds\n", lib=Link("shared"))
        because = selected(self.RULES, files).because
        assert (because["lib"], because["shared/odds.py"]) == (("worker/main.py",), ("worker/main.py",))

    def test_a_linked_folder_brings_its_files(self) -> None:
        """By the first link on the way to them."""
        files = changed(worker__data=Link("../data"), data__table_csv="1\n")
        assert selected(self.RULES, files).because["data/table.csv"] == ("link worker/data",)

    def test_patterns_that_match_nothing(self) -> None:
        rules = Rules(paths=("/worker/", "/wroker/"), entrypoint=("worker/main.py",))
        assert selected(rules, FILES).idle == ("/wroker/",)

    def test_everything_ignored_leaves_nothing(self) -> None:
        """Reached or not."""
        rules = Rules(paths=("/worker/",), entrypoint=("worker/main.py",), ignore=("*",))
        assert (selected(rules, FILES).because, selected(rules, FILES).nothing) == ({}, "no file is left")


class TestWhichTextsDecide:
    def test_patterns_alone_need_links(self) -> None:
        """What they lead to may be relevant; where everything is, they need none."""
        files = tree_of(changed(link=Link("worker"))).files
        assert selection.deciding(Rules(paths=("/worker/",)), files) == {"link"}
        assert selection.deciding(Rules(), files) == set()

    def test_an_image_needs_its_dockerfile_and_ignore_files(self) -> None:
        """Those that exist, and every link."""
        files = {
            "image/Dockerfile": "",
            "image/Dockerfile.dockerignore": "",
            "worker/.dockerignore": "",
            ".dockerignore": "",
            "link": Link("worker"),
            "x.py": "",
        }
        wanted = {"image/Dockerfile", "image/Dockerfile.dockerignore", "link"}
        rules = Rules(dockerfile="image/Dockerfile")
        assert deciding(rules, tree_of(files).files) == {*wanted, ".dockerignore"}
        inside = Rules(dockerfile="image/Dockerfile", context="worker")
        assert deciding(inside, tree_of(files).files) == {*wanted, "worker/.dockerignore"}
        gone = Rules(dockerfile="gone/Dockerfile")
        assert deciding(gone, tree_of(files).files) == {"link", ".dockerignore"}

    def test_a_function_needs_the_links(self) -> None:
        files = tree_of(changed(link=Link("worker"))).files
        assert deciding(Rules(entrypoint=("worker/main.py",)), files) == {"link"}

    def test_sources_are_asked_for_only_where_something_is_narrowed(self) -> None:
        """The ``.py`` files of the image, by their path in the repository."""
        narrowed = image_of(IMAGE, tree_of(FILES))
        assert narrowed.sources == {path for path in FILES if path.endswith(".py")}
        assert image_of(IMAGE, tree_of(starting("CMD ./run"))).sources == set()


def test_files_without_entry_points_are_taken_as_they_are() -> None:
    """No source is read."""
    files = Files(because={"a.py": ("why",)}, layout={"/a.py": "a.py"})

    def never(path: str) -> Any:
        raise AssertionError(path)

    assert select(IMAGE, files, ["a.py"], never, never) == Selection(because={"a.py": ("why",)})


class TestWhatRunMoves:
    @pytest.mark.parametrize(
        "lines",
        [
            "FROM python AS made\nCOPY lib/ /lib/\nRUN pip wheel /lib\nFROM python\nWORKDIR /app\n"
            "COPY worker/ ./\nCOPY --from=made /wheels /w\n",
            "FROM python\nWORKDIR /app\nCOPY worker/ ./\nRUN --mount=source=lib,target=/lib cp -r /lib .\n",
            "FROM python\nWORKDIR /app\nCOPY worker/ ./\nCOPY lib/ /x/lib/\nRUN mv /x/lib .\n",
        ],
    )
    def test_an_import_reaches_what_ends_like_its_name(self, lines: str) -> None:
        """The container runs: no word of what the image lacks; and the file counts."""
        files = {
            "Dockerfile": lines + "CMD python main.py\n",
            "worker/main.py": "import lib.m\n",
            "lib/__init__.py": "",
            "lib/m.py": "",
            "lib/other.py": "",
        }
        selection = selected(IMAGE, files)
        assert [each.code for each in selection.findings] == []
        assert selection.because["lib/m.py"] == ("worker/main.py",)


def test_the_reason_is_the_same_in_whatever_order_the_files_come() -> None:
    """Two settings files name the module: the first of them by name is why it counts."""
    files = {
        "app/main.py": "import importlib, json\n",
        "lib/d.py": "",
        "b.yaml": "task: lib.d\n",
        "a.json": '{"task": "lib.d"}',
    }
    rules = Rules(entrypoint=("app/main.py",))
    one, other = (selected(rules, dict(order)) for order in (files.items(), [*files.items()][::-1]))
    assert one.because["lib/d.py"] == other.because["lib/d.py"] == ("a.json",)
