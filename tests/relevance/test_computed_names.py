"""Names that only the running program knows, and what stands between a program and what it runs."""

from __future__ import annotations

import pytest
from relevance.test_selection import selected

from drift_gate.relevance.rules import Rules

DOCKERFILE = "FROM python\nWORKDIR /app\nCOPY . .\nCMD python -m app.main\n"
RULES = Rules(dockerfile="Dockerfile")


def reached(main: str, **files: str) -> tuple[set[str], list[str]]:
    """What counts of an image whose program is ``main``, and the codes that the verdict carries."""
    others = {path.replace("__", "/").replace("_DOT_", "."): text for path, text in files.items()}
    tree = {"Dockerfile": DOCKERFILE, "app/__init__.py": "", "app/main.py": main, **others}
    selection = selected(RULES, tree)
    return set(selection.because), [each.code for each in selection.findings]


# what the program says: each may load the settings that nothing names
FROM_OUTSIDE = [
    "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', os.environ.get('S', 'conf.dev'))",
    "import os\napp.config.from_object(os.environ['SETTINGS'])",
    "import os\nname = os.getenv('SETTINGS')\napp.config.from_object(name)",
    "import os\napp.config.from_pyfile(os.path.join('conf', os.environ['E'] + '.py'))",
    "app.config.from_pyfile(where())",
    "app.config.from_envvar('SETTINGS')",
    "from app.names import packages\napp.autodiscover_tasks(packages())",
    "from app import names\napp.autodiscover_tasks(lambda: names.PACKAGES)",
    "from app import names\napp = Celery('x', include=names.PACKAGES)",
    "import importlib, os\ngetattr(importlib, 'import_module')(os.environ['M'])",
    "import os\nfrom pydoc import locate\nlocate(os.environ['M'])",
    "import imp, os\nimp.load_source('m', os.environ['M'])",
    "import importlib.util, os\ns = importlib.util.find_spec(os.environ['M'])\ns.loader.exec_module(m)",
    "import builtins\ngetattr(builtins, 'exec')(text)",
    "import torch\ntorch.load('model.pt', weights_only=False)",
    "import numpy as np\nnp.load('model.npy', allow_pickle=True)",
    "import os\nos.execvp('gunicorn', ['gunicorn', os.environ['APP']])",
    "import yaml\nyaml.unsafe_load(open(path))",
    "import jsonpickle\njsonpickle.decode(text)",
    "from stevedore import DriverManager\nDriverManager('ns', name)",
    "import os\nos.execvp('celery', ['celery', '-A', os.environ['APP'], 'worker'])",
]


@pytest.mark.parametrize("main", FROM_OUTSIDE)
def test_a_loader_that_is_told_from_outside_may_load_anything(main: str) -> None:
    """Or the folder of which it is told: the settings count."""
    paths, codes = reached(main, app__names_DOT_py="", conf__prod_DOT_py="")
    assert "conf/prod.py" in paths
    assert codes in ([], ["computed-import"])


@pytest.mark.parametrize(
    "main",
    [
        "from app.names import Config\napp.config.from_object(Config)",
        "from django.conf import settings\napp.autodiscover_tasks(lambda: settings.INSTALLED_APPS)",
        "from django.apps import apps\n"
        "app.autodiscover_tasks(lambda: [each.name for each in apps.get_app_configs()])",
        "import importlib.util\ndef has(name): return importlib.util.find_spec(name) is not None",
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'app.names')",
        "import torch\ntorch.load('model.pt', weights_only=True)",
        "import numpy as np\nnp.load('model.npy')",
        "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))",
        "import os, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\nsys.path.append(HERE)",
        "import os\nos.execvp('gunicorn', ['gunicorn', '--bind', os.environ['B'], 'app.names:app'])",
    ],
)
def test_what_is_known_stays_narrow(main: str) -> None:
    files = {"app__names_DOT_py": "class Config: ...\napp = 1", "conf__prod_DOT_py": "", "x__os_DOT_py": ""}
    paths, codes = reached(main, **files)
    assert not {"conf/prod.py", "x/os.py"} & paths
    assert codes == []


# what is put on sys.path: the module may be any of that name
@pytest.mark.parametrize(
    "line",
    [
        "sys.path.insert(0, os.environ['LIB'])",
        "sys.path.append(os.environ['LIB'] + '/lib')",
        "sys.path[:0] = [os.environ['LIB']]",
        "sys.path += [os.environ['LIB']]",
        "sys.path = [os.environ['LIB'], *sys.path]",
        "HERE = os.path.dirname(__file__)\nsys.path.insert(0, os.path.join(HERE, os.environ['LIB']))",
        "import site\nsite.addsitedir(os.environ['LIB'])",
        "def add(path):\n    sys.path.insert(0, path)",
    ],
)
def test_a_folder_that_nobody_knows_may_hold_any_module_of_a_name(line: str) -> None:
    files = {"helper_DOT_py": "", "vendor__helper_DOT_py": "", "vendor__other_DOT_py": ""}
    paths, codes = reached(f"import os, sys\n{line}\nimport helper", **files)
    assert {"helper.py", "vendor/helper.py"} <= paths
    assert "vendor/other.py" not in paths
    assert codes == []


@pytest.mark.parametrize(
    "line",
    [
        "sys.path.insert(0, os.path.dirname(__file__))",
        "sys.path.insert(0, str(Path(__file__).resolve().parent.parent))",
        "ROOT = Path(__file__).parent\nLIB = ROOT / 'lib'\nsys.path.insert(0, str(LIB))",
        "HERE = os.path.dirname(__file__)\nfor each in ('lib', 'app'):\n"
        "    sys.path.append(os.path.join(HERE, each))",
        "sys.path.append('.')",
        "sys.path.insert(0, os.getcwd())",
        "sys.path[:] = [each for each in sys.path if each]",
    ],
)
def test_a_folder_that_is_told_by_the_place_of_the_file_is_known(line: str) -> None:
    files = {"helper_DOT_py": "", "vendor__helper_DOT_py": ""}
    paths, _ = reached(f"import os, sys\nfrom pathlib import Path\n{line}\nimport helper", **files)
    assert "helper.py" in paths
    assert "vendor/helper.py" not in paths


@pytest.mark.parametrize(
    "main",
    [
        "import subprocess\nsubprocess.run(['bash', 'jobs/j.sh'])",
        "import os\nos.system('./jobs/j.sh --fast')",
        "import os\nos.execv('/app/jobs/j.sh', ['j.sh'])",
    ],
)
@pytest.mark.parametrize("line", ["python -m jobs.net", "exec python jobs/net.py", "cd jobs; python -m net"])
def test_a_script_that_a_module_starts_is_read(main: str, line: str) -> None:
    files = {"jobs__j_DOT_sh": f"#!/bin/sh\n{line}\n", "jobs__net_DOT_py": "import jobs.more"}
    paths, _ = reached(main, **files, jobs__more_DOT_py="")
    assert {"jobs/net.py", "jobs/more.py"} <= paths


def test_a_script_that_no_module_names_starts_nothing() -> None:
    files = {"jobs__j_DOT_sh": "python -m jobs.net\n", "jobs__net_DOT_py": ""}
    assert "jobs/net.py" not in reached("'jobs'", **files)[0]


@pytest.mark.parametrize(
    "main",
    [
        "import os\nos.execvp('celery', ['celery', '-A', 'web', 'worker'])",
        "import subprocess\nsubprocess.run('celery -A web worker', shell=True)",
        "import subprocess\nsubprocess.Popen(['/usr/bin/celery', '-A', 'web.celery', 'worker'])",
    ],
)
def test_a_server_that_a_module_starts_loads_its_application(main: str) -> None:
    paths, codes = reached(main, web____init___DOT_py="", web__celery_DOT_py="import web.tasks")
    assert "web/celery.py" in paths
    assert codes == []


@pytest.mark.parametrize(
    "main",
    [
        "import subprocess\nsubprocess.run('cd jobs && python net.py', shell=True)",
        "import asyncio\nasyncio.create_subprocess_shell('python -m jobs.net')",
        "import shutil, subprocess\nsubprocess.run([shutil.which('python3'), '-m', 'jobs.net'])",
    ],
)
def test_an_interpreter_is_seen_wherever_it_stands(main: str) -> None:
    paths, codes = reached(main, jobs__net_DOT_py="", jobs__far_DOT_py="")
    assert ("jobs/net.py" in paths, "jobs/far.py" in paths, codes) == (True, False, [])


def test_a_trap_of_a_start_script_is_a_command() -> None:
    script = "#!/bin/bash\ntrap 'python -m jobs.net' EXIT\npython -m app.main\n"
    dockerfile = DOCKERFILE.replace("python -m app.main", "./start.sh")
    tree = {"Dockerfile": dockerfile, "start.sh": script, "app/main.py": "", "jobs/net.py": ""}
    assert "jobs/net.py" in selected(RULES, tree).because


def test_a_compiled_source_imports_what_it_says() -> None:
    """Cython's own statements beside it; a relative import too."""
    source = "cimport cython\nfrom fast import helper\nfrom . import near\ncdef int f(int x):\n    return x\n"
    tree = {
        "fast/__init__.py": "",
        "fast/a.pyx": source,
        "fast/helper.py": "",
        "fast/near.py": "",
        "fast/far.py": "",
    }
    tree |= {"Dockerfile": DOCKERFILE, "app/main.py": "import fast.a"}
    selection = selected(RULES, tree)
    assert {"fast/helper.py", "fast/near.py", "fast/a.pyx"} <= selection.because.keys()
    assert selection.unused == ("fast/far.py",)
    assert not selection.findings


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("[each.read_text() for each in Path(__file__).parent.iterdir()]", True),
        ("(Path(__file__).parent / os.environ['NAME']).read_text()", True),
        ("(Path(__file__).parent.parent / os.environ['NAME']).read_text()", True),
        ("print('hello')", False),
    ],
)
def test_data_beside_a_module_that_asks_where_it_lies_is_its_own(line: str, counts: bool) -> None:
    """Though another program of the image spells it out."""
    main = {"app/deep/main.py": f"import os\nfrom pathlib import Path\n{line}"}
    data = {"app/deep/t.yaml": "", "app/t.yaml": "", "tool.py": "open('app/t.yaml'); open('app/deep/t.yaml')"}
    tree = {"Dockerfile": DOCKERFILE.replace("app.main", "app.deep.main"), **main, **data}
    assert ({"app/deep/t.yaml", "app/t.yaml"} <= selected(RULES, tree).because.keys()) == counts


def started_by(command: str, *lines: str) -> tuple[set[str], list[str]]:
    """What counts of an image with that command, and the codes that the verdict carries."""
    dockerfile = "\n".join(["FROM python", "WORKDIR /app", "COPY . .", *lines, f"CMD {command}", ""])
    tree = {"Dockerfile": dockerfile, "app/__init__.py": "", "app/main.py": "app = 1", "app/other.py": ""}
    tree["start.sh"] = "#!/bin/sh\nMODULE=${MODULE:-app.main}\nexec python -m $MODULE\n"
    selection = selected(RULES, tree)
    return set(selection.because), [each.code for each in selection.findings]


@pytest.mark.parametrize(
    "command",
    [
        "python -m ${MODULE:-app.main}",
        'exec python -m "${MODULE-app.main}"',
        "python ${SCRIPT:-app/main.py}",
        "gunicorn ${APP:-app.main:app}",
        "gunicorn $APP",
        "cd ${FOLDER:-app} && python main.py",
        "./start.sh",
        '["sh", "-c", "exec uvicorn ${APP:-app.main:app}"]',
    ],
)
def test_a_default_that_a_deploy_can_replace_is_followed_and_doubted(command: str) -> None:
    paths, codes = started_by(command)
    assert {"app/main.py", "app/other.py"} <= paths
    assert codes == ["computed-import"]


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn -b :${PORT:-8080} -w ${W:-2} app.main:app",
        "gunicorn ${OPTIONS:---reload} app.main:app",
        "PORT=${PORT:-80} && exec uvicorn app.main:app --port $PORT",
        "timeout ${T:-30} python -m app.main --mode ${MODE:-fast}",
        "MODULE=app.main; python -m ${MODULE:-app.other}",
        "python -m ${SET:-app.other}",
    ],
)
def test_a_default_that_names_nothing_that_is_started_is_no_doubt(command: str) -> None:
    """Nor is one whose variable the Dockerfile or the text itself sets."""
    paths, codes = started_by(command, "ENV SET=app.main")
    assert ("app/main.py" in paths, "app/other.py" in paths, codes) == (True, False, [])


@pytest.mark.parametrize(
    ("line", "imported"),
    [
        ("mv shared/python newname", "import newname.a"),
        ("mv shared/python newname", "from newname import a"),
        ("mv shared/python newname", "try:\n    import newname.a\nexcept ImportError:\n    pass"),
        ("find shared -name python -exec mv {} newname +", "import newname.a"),
        ("fakeroot find shared -name python -exec mv {} newname +", "import newname.a"),
        ("set -e; cd app && cp -r lib /app/newname/", "from newname.deep import a"),
        ("ln -s /app/app/lib /usr/lib/python3/newname", "import newname"),
        ("mv one.py newname.py", "import newname"),
        ('["mv", "shared/python", "newname"]', "import newname.a"),
    ],
)
def test_a_name_that_a_build_step_gives_may_be_any_file(line: str, imported: str) -> None:
    dockerfile = DOCKERFILE.replace("CMD", f"RUN {line}\nCMD")
    tree = {"Dockerfile": dockerfile, "app/main.py": imported, "shared/python/a.py": "", "app/lib/b.py": ""}
    selection = selected(RULES, tree)
    assert {"shared/python/a.py", "app/lib/b.py"} <= selection.because.keys()
    assert {each.code for each in selection.findings} == {"computed-import"}
    assert "newname" in selection.findings[0].message


@pytest.mark.parametrize(
    "line",
    [
        "pip install newname",
        "apt-get install rsync newname",
        "cp requirements.txt /tmp",
        "mv a b && echo newname",
    ],
)
def test_a_name_that_no_build_step_gives_is_installed(line: str) -> None:
    dockerfile = DOCKERFILE.replace("CMD", f"RUN {line}\nCMD")
    tree = {"Dockerfile": dockerfile, "app/main.py": "import newname.a", "app/far.py": ""}
    selection = selected(RULES, tree)
    assert (selection.unused, selection.findings) == (("app/far.py",), ())


@pytest.mark.parametrize(
    "main",
    [
        "import code\ncode.interact(local=locals())",
        "from code import InteractiveConsole\nInteractiveConsole().interact()",
        "import os, types\ntypes.FunctionType(compile(os.environ['T'], 'f', 'exec'), globals())()",
        "import marshal\nrun(marshal.loads(data))",
        "import os, timeit\ntimeit.timeit('run()', setup=os.environ['SETUP'])",
        "from pydantic import BaseModel, ImportString\nclass S(BaseModel):\n    handler: ImportString",
        "import mlflow\nmlflow.pyfunc.load_model('models:/m/1')",
        "import mlflow.pyfunc as pyfunc\npyfunc.load_model('models:/m/1')",
        "import importlib.metadata\nimportlib.metadata.entry_points(group='x')",
    ],
)
def test_what_runs_a_text_or_an_object_out_of_data_may_load_anything(main: str) -> None:
    paths, codes = reached(main, far_DOT_py="")
    assert ("far.py" in paths, codes) == (True, ["computed-import"])


@pytest.mark.parametrize(
    "main",
    [
        "import timeit\ntimeit.timeit('near.run()', setup='import near')",
        "from timeit import Timer\nTimer(setup='import near')",
        "import timeit, near\ntimeit.timeit(lambda: near.run())",
        "code = compile('import near', 'f', 'exec')",
        "import re, near\nre.compile(near.PATTERN)",
        "from re import compile\nimport near\ncompile(near.PATTERN)",
        "import types, near\nisinstance(near, types.FunctionType)",
        "import keras, near\nkeras.models.load_model(near.PATH)",
    ],
)
def test_what_runs_a_text_that_is_written_out_loads_that(main: str) -> None:
    paths, codes = reached(main, near_DOT_py="", far_DOT_py="")
    assert ("near.py" in paths, "far.py" in paths, codes) == (True, False, [])


@pytest.mark.parametrize(
    ("value", "counts"), [("True", True), ("bool(os.environ.get('T'))", True), ("False", False), ("0", False)]
)
def test_what_a_type_checker_reads_counts_where_the_module_says_that_it_runs(
    value: str, counts: bool
) -> None:
    main = f"import os\nTYPE_CHECKING = {value}\nif TYPE_CHECKING:\n    import near"
    assert ("near.py" in reached(main, near_DOT_py="")[0]) == counts
    assert ("near.py" in reached(main.replace(" =", ": bool ="), near_DOT_py="")[0]) == counts


@pytest.mark.parametrize(
    "main",
    [
        "import subprocess\nsubprocess.run(['./bin/tool', '--fast'])",
        "import os\nos.system('bin/tool --fast')",
        "import os\nos.execv('/app/bin/tool', ['tool'])",
        "import subprocess\nTOOL = 'bin/tool'\nsubprocess.Popen([TOOL])",
    ],
)
@pytest.mark.parametrize(("first", "counts"), [("#!/usr/bin/env python3", True), ("#!/usr/bin/perl", False)])
def test_a_program_without_an_ending_is_python_by_its_first_line(main: str, first: str, counts: bool) -> None:
    tree = {"Dockerfile": DOCKERFILE, "app/main.py": main, "bin/tool": f"{first}\nimport near\n"}
    selection = selected(RULES, {**tree, "near.py": "", "bin/near.py": "", "far.py": ""})
    assert ("near.py" in selection.because, "far.py" in selection.because) == (counts, False)
    assert not selection.findings


TAKES = [
    "mv settings_prod.py settings.py",
    "cp -f settings_prod.py settings.py",
    "cat ./settings_prod.py > settings.py",
    "sed s/x/y/ settings_prod.py > settings.py",
    "ln -sf /app/settings_prod.py settings.py",
    "cp -t conf settings_prod.py",
    "cd /srv && ln -s /app/settings_prod.py",
]


@pytest.mark.parametrize("command", TAKES)
def test_what_a_build_puts_over_a_file_counts(command: str) -> None:
    """The file that is imported is there before, so that no import leads nowhere."""
    tree = {
        "Dockerfile": f"FROM python\nWORKDIR /app\nCOPY . .\nRUN {command}\nCMD python main.py\n",
        "main.py": "import settings",
        "settings.py": "",
        "settings_prod.py": "",
        "unused.py": "",
    }
    because = selected(RULES, tree).because
    assert "settings_prod.py" in because
    assert "unused.py" not in because


@pytest.mark.parametrize(
    "command", ["chown -R app /app", "cp main.py .", "install -d /app/data", "mkdir -p /app/x"]
)
def test_a_build_that_takes_no_file_widens_nothing(command: str) -> None:
    tree = {
        "Dockerfile": f"FROM python\nWORKDIR /app\nCOPY . .\nRUN {command}\nCMD python main.py\n",
        "main.py": "",
        "unused.py": "",
    }
    assert "unused.py" not in selected(RULES, tree).because
