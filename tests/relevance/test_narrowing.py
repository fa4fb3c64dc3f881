"""Narrowing must be earned: what is relevant stays so, whatever is put beside it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relevance.test_closure_against_python import Program, body, programs
from relevance.test_selection import selected

from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection

DOCKERFILE = "FROM python\nWORKDIR /srv\nCOPY . ./\nCMD python {}/start.py\n"

#: Names that no program of the test imports, so that no file of these hides another from Python.
new_names = st.sampled_from(("other", "deep/other", "one/other", "one/other/x", "two/more", "more/__init__"))
new_files = st.dictionaries(
    st.builds("{}{}".format, new_names, st.sampled_from((".py", ".yaml", ".cfg", ".json", ".toml"))),
    st.one_of(body, st.sampled_from(("module: a.b\n", "x = 'a.b:X'\n", "[project]\nname = 'x'\n", '"c"'))),
    min_size=1,
)
#: Lines that bind no name and raise every kind of question.
LINES = (
    "'a.b'",
    "['a', 'b.c', 'c/a.py']",
    "import_module(unknown)",
    "import_module(f'a.{unknown}')",
    "import_module('a')",
    "map(import_module, ['b'])",
    "eval(unknown)",
    "import_module('gone.forever')",
    "config.scan()",
    "bot.load_extension('b')",
    "run_path(f'{unknown}/b.py')",
    "list(pkgutil.iter_modules(unknown))",
    "import subprocess, sys\nsubprocess.run([sys.executable, unknown])",
)


def judged(program: Program, more: dict[str, str]) -> Selection:
    """The program in an image that copies the whole repository."""
    files = {**program.files, **more, "Dockerfile": DOCKERFILE.format(program.roots[-1])}
    return selected(Rules(dockerfile="Dockerfile", import_roots=program.roots), files)


def doubts(selection: Selection) -> set[str]:
    """What the verdict hears of that keeps the image from being narrowed."""
    return {each.message for each in selection.findings if each.code == "computed-import"}


@given(program=programs(), more=new_files)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_relevant_path_is_never_lost_by_adding_files(program: Program, more: dict[str, str]) -> None:
    """Code that nothing imports and settings that name modules can add to what counts, and take nothing."""
    before, after = judged(program, {}), judged(program, more)
    ended = doubts(before) - doubts(after)
    assert all("import roots do not lead to" in doubt for doubt in ended)  # this one a file may answer
    if not ended:
        assert before.because.keys() <= after.because.keys()


@given(program=programs(), lines=st.lists(st.sampled_from(LINES), min_size=1, max_size=3))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_relevant_path_is_never_lost_by_what_a_program_says_besides(
    program: Program, lines: list[str]
) -> None:
    """A string, a known or a computed name, a doubt: each adds, none replaces what was known before."""
    start = f"{program.roots[-1]}/start.py"
    longer = {start: "\n".join([program.files[start], *lines, ""])}
    before, after = judged(program, {}), judged(program, longer)
    assert before.because.keys() <= after.because.keys()
    assert doubts(before) <= doubts(after)


@pytest.mark.parametrize("line", [line for line in LINES if "unknown" in line and "f'" not in line])
def test_a_doubt_leaves_nothing_out(line: str) -> None:
    """Every file of the image counts then, and the verdict hears of it."""
    files = {"one/start.py": f"{line}\n", "one/a.py": "", "one/b/c.py": ""}
    selection = judged(Program(files, ("one",), "one/start.py"), {})
    assert files.keys() <= selection.because.keys()
    assert [each.code for each in selection.findings] == ["computed-import"]
