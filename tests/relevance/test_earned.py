"""Data that another program names stops counting only where nothing of the worker's own could name it."""

from __future__ import annotations

import pytest
from relevance.test_selection import selected
from support.heavy import light
from support.world import WORKER, World

from drift_gate.relevance.python.literals import literals_of
from drift_gate.relevance.rules import Rules

DATA = "app/cfg/e.json"
FILES = {
    "Dockerfile": "FROM python\nWORKDIR /srv\nCOPY app/ app/\nCMD python -m app.main\n",
    "app/__init__.py": "",
    "app/main.py": "import app.read\n",
    "app/read.py": "",
    "app/unused.py": "F = 'cfg/e.json'\n",
    DATA: "{}\n",
}
TEXTS = [
    "tables: [app/cfg/d.json, app/cfg/e.json]",
    "{f: cfg/e.json}",
    "f: file://cfg/e.json#x",
    "f: cfg/e.json?x=1&y",
    "see cfg/e.json.",
    "f: «cfg/e.json»",
    r'{"f": "cfg\/\u0065.json"}',
    "f=" + "x.json!" * 40 + "e.json!",
]
LITERALS = [
    '"app/cfg/e.json,app/cfg/d.json".split(",")',
    '"--config=e.json"',
    '"d.json|e.json"',
    '"@e.json"',
    '"odds:e.json"',
    '"load(e.json)"',
    r"'e.json\n'",
    r"r'^e\.json$'",
    r"'\x65.json'",
    r"'\u0065.\152son'",
    r"'e\N{FULL STOP}json'",
    '"cfg/e.json?x=1"',
    '"app/cfg/e.js\\\non"',
    '"' + "d.json," * 40 + 'e.json"',
    '"""a\n' + r'\x65.json"""',
    '"""\n- {f: cfg/e.json}\n"""',
    '"load [cfg/e.json]"',
    '"--tables=cfg"',
    '"cfg,other".split(",")',
    r"'cfg\n'.strip()",
]
#: What names a folder otherwise, or asks for all there is.
FOLDERS = [
    "files('app.cfg').iterdir()",
    "pkgutil.get_data('app.cfg', name)",
    "PackageLoader('app:app.cfg')",
    "import app.cfg\nfrom importlib import resources\nresources.files(app.cfg)",
    "from importlib.resources import files\nfrom app import cfg\nfiles(cfg)",
    "import os\nos.walk('.')",
    "from os import getcwd, walk\nwalk(getcwd())",
    "HERE = Path(__file__).parent\nHERE.rglob('*')",
    "Path.cwd().glob('**/*')",
    "Path('.').rglob(pattern)",
    "glob.glob('**')",
    "from glob import iglob\niglob('*/*/*')",
]
#: What keeps the folder of the module, and those above it.
OWN = ["files(__package__)", "files(__spec__.parent)", "list(__path__)", "pkgutil.get_data(__name__, name)"]
#: What a program says without naming the file or its folder.
OTHERS = [
    '"d.json,f.json"',
    '"read the cfg of e and its json"',
    'f"{cfg}"',
    '"my-e.jsonl?x"',
    r"r'^e\.jsonl$'",
    "x.split('.')",
    "'app.cf'",
    "'app.cfg.odds'",
    "for node in ast.walk(tree): node.split('.')",
    "Path('data').rglob('*')",
    "os.walk('data')",
    "Path('.').rglob('*.csv')",
    "Path('.').glob('**/*.csv')",
    "TOKENS = {'**': '.'}",
    "glob.glob('data/*')",
    "Path('data').glob('*')",
]


def counts(more: dict[str, str]) -> bool:
    return DATA in selected(Rules(dockerfile="Dockerfile"), {**FILES, **more}).because


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_names_a_file_whatever_stands_around_the_name(text: str) -> None:
    assert counts({"app/tables.yaml": f"{text}\n"})


@pytest.mark.parametrize("literal", LITERALS)
def test_a_literal_names_what_a_program_may_cut_out_of_it(literal: str) -> None:
    assert counts({"app/read.py": f"x = {literal}\n"})


@pytest.mark.parametrize("code", FOLDERS)
def test_a_program_names_a_folder_without_a_path(code: str) -> None:
    assert counts({"app/read.py": f"{code}\n"})


@pytest.mark.parametrize("code", OWN)
def test_a_module_that_asks_for_its_package_may_read_what_lies_there(code: str) -> None:
    """As one that asks for its ``__file__``."""
    beside = {"app/cfg/read.py": f"{code}\n", "app/read.py": "import app.cfg.read\n"}
    assert not counts(beside | {"app/cfg/read.py": ""})
    assert counts(beside)


@pytest.mark.parametrize("literal", ["None", *OTHERS])
def test_what_names_another_file_leaves_it_out(literal: str) -> None:
    assert not counts({"app/read.py": f"x = {literal}\n"})


@pytest.mark.parametrize(
    "literal",
    ["'^cfg/e.json$'", r"'cfg/\x65.json'", "'[cfg/e.json]'", "'@e.json'", "'" + "d.json#" * 40 + "e.json'"],
)
def test_what_takes_a_file_away_is_not_cut(literal: str) -> None:
    """Only what the other program says for sure makes the file its own."""
    assert counts({"app/unused.py": f"F = {literal}\n"})


@pytest.mark.parametrize(
    "part", light(["\\", "\\N{", "a.", "\\x6", ",", "{", "[a", "\\\n", "\\1"], ("\\", "a.", "{"))
)
def test_one_thing_over_and_over_is_cut(part: str) -> None:
    """A quarter of a megabyte of it: work that grew with the square of it would not come to an end here."""
    found = literals_of(b"x = '''" + (part * 262_144)[:262_144].encode() + b"\ne.json'''\n")
    assert "e.json" in found


def test_a_text_that_cannot_be_read_may_name_anything(world: World) -> None:
    """Over 5 MB nobody looks into it: nothing is left out then."""
    world.toml = (
        f'[defaults]\nproject = "test-project"\nregion = "us-west2"\ntarget_ref = "main"\n'
        f'[services.{WORKER}]\ndockerfile = "Dockerfile"\n'
    )
    large = "include: cfg/e.json\n" + "# nothing\n" * 560_000
    live = world.history.commit({**FILES, "app/big.yaml": large})
    world.cloud.deploy(WORKER, commit=live)
    world.history.commit({DATA: '{"changed": 1}\n'})
    assert [path.path for commit in world.verdict().report.undeployed for path in commit.paths] == [DATA]
