"""Names in strings, configuration files and variables count as imports of exactly the modules they name."""

from __future__ import annotations

import pytest
from relevance.test_selection import selected
from support.python_imports import closure_of

from drift_gate.relevance.python.config_names import names_of
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.imports import facts_of
from drift_gate.relevance.rules import Rules

TREE = {
    "app/__init__.py": "",
    "app/main.py": "app = make()",
    "app/tasks.py": "def add(): ...\nclass Task:\n    def run(self): ...",
    "app/models.py": "",
    "app/sub/__init__.py": "",
    "app/sub/deep.py": "",
    "plain/inner.py": "",
    "settings.py": "",
    "scripts/job.py": "",
    "alembic/env.py": "",
    "alembic/versions/first.py": "",
    "pages/home/index.py": "",
    "migrations/env.py": "",
}
APP = {"app/__init__.py"}
ALL_OF_APP = {path for path in TREE if path.startswith("app/")}

# text of start.py → what it reaches beside itself
STRINGS: list[tuple[str, set[str]]] = [
    ("x = 'app.tasks'", {*APP, "app/tasks.py"}),
    ("send('app.tasks.add')", {*APP, "app/tasks.py"}),
    ("send('app.tasks.Task.run')", {*APP, "app/tasks.py"}),
    ("send('app.tasks.gone')", set()),
    ("x = 'app.tasks:whatever'", {*APP, "app/tasks.py"}),
    ("x = 'plain.inner'", {"plain/inner.py"}),
    ("x = 'app.sub'", {*APP, "app/sub/__init__.py"}),
    ("x = {'()': 'ext://app.models'}", {*APP, "app/models.py"}),
    ("x = 'scripts/job.py'", {"scripts/job.py"}),
    ("x = './scripts/job.py'", {"scripts/job.py"}),
    ("x = 'job.py'", set()),
    ("flow.from_source(entrypoint='scripts/job.py:run')", {"scripts/job.py"}),
    ("x = 'scripts/job.py::test_it'", {"scripts/job.py"}),
    ("x = 'app'", set()),
    ("x = 'settings'", set()),
    ("x = 'see app.tasks'", set()),
    ("x = 'plain.gone'", set()),
    ("x = 'App.tasks'", set()),
    ("celery.autodiscover_tasks(['app'])", ALL_OF_APP),
    ("config.include('app.sub')", {*APP, "app/sub/__init__.py", "app/sub/deep.py"}),
    ("import os\nos.system('celery -A settings worker')", {"settings.py"}),
    ("import os\nos.system('sleep 1 && exec celery -A settings worker')", {"settings.py"}),
    ("import app.sub\nconfig.scan(app)", ALL_OF_APP),
    ("from app import sub\nscan(sub)", {*APP, "app/sub/__init__.py", "app/sub/deep.py"}),
    ("from app.tasks import add\nscan(add)", {*APP, "app/tasks.py"}),
    ("load_assets_from_package_name('app')", ALL_OF_APP),
    ("from werkzeug.utils import find_modules as find\nfind('app')", ALL_OF_APP),
    ("from flask_migrate import upgrade as newest\nnewest()", {"migrations/env.py"}),
    ("bot.load_extension('settings')", {"settings.py"}),
    ("bot.load_extension(f'app.sub.{x}')", {*APP, "app/sub/__init__.py", "app/sub/deep.py"}),
    ("for each in ['settings']: bot.load_extension(each)", {"settings.py"}),
    ("app.config_from_object('settings')", {"settings.py"}),
    ("app.config.from_object(settings)", set()),
    ("Celery(include=['settings'])", {"settings.py"}),
    ("LOCAL_APPS = ['app']\nINSTALLED_APPS = ['django.contrib.auth', *LOCAL_APPS]", ALL_OF_APP),
    ("INSTALLED_APPS = ['app.sub.apps.SubConfig']", {*APP, "app/sub/__init__.py", "app/sub/deep.py"}),
    ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')", {"settings.py"}),
    ("os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'", {"settings.py"}),
    ("app.conf.imports = ('settings',)", {"settings.py"}),
    ("frame.describe(include='all')", set()),
    ("app = Dash(__name__, use_pages=True)", {"pages/home/index.py"}),
    (
        "app = Dash(__name__, use_pages=True, pages_folder='app/sub')",
        {*APP, "app/sub/__init__.py", "app/sub/deep.py"},
    ),
    ("from flask_migrate import upgrade\nupgrade()", {"migrations/env.py"}),
    ("config.set_main_option('script_location', 'alembic')", {"alembic/env.py", "alembic/versions/first.py"}),
]

# text of a configuration file → what it names, what it hands to a loader, which files it loads
CONFIGS: list[tuple[str, list[str], list[str], list[str]]] = [
    ("worker_class = app.workers.Own\n", ["app.workers.Own"], [], []),
    ("_target_: app.models.Net\nlr: 0.1\n", ["app.models.Net"], [], []),
    (
        '{"class": "app.logs.Handler", "stream": "ext://sys.stdout"}',
        ["app.logs.Handler", "sys.stdout"],
        [],
        [],
    ),
    ("app: 'main:app'\n", ["main:app"], [], []),
    ("command=python scripts/job.py --now\n", ["scripts/job.py"], [], []),
    ("script_location = %(here)s/alembic\n", [], [], ["alembic/*.py"]),
    ("script_location = app:migrations\n", ["app:migrations"], [], ["app/migrations/*.py"]),
    ("DJANGO_SETTINGS_MODULE=settings\n", [], ["settings"], []),
    ("url: https://example.com:8080/a.b/c.d\nname: some-app.tasks\n", [], [], []),
    ("image: busybox\nport: 8080:80\n", [], [], []),
    (
        "[project]\nname = 'x'\n[project.scripts]\nrun = 'app.cli:main'\n[tool.mypy]\nfiles = 'app.tests'\n",
        ["app.cli:main"],
        [],
        [],
    ),
    ("[project]\n[project.entry-points.x]\na = 'app.plugin'\n", ["app.plugin"], [], []),
    ("[tool.poetry.plugins.x]\na = 'app.plugin'\n", ["app.plugin"], [], []),
    (
        "[metadata]\nname = a.b\n[options.entry_points]\nconsole_scripts =\n    run = app.cli:main [extra]\n",
        ["app.cli:main"],
        [],
        [],
    ),
    ("[options]\npackages = app.sub\n", [], [], []),
]


@pytest.mark.parametrize(("text", "wanted"), STRINGS)
def test_strings_of_a_reached_file(text: str, wanted: set[str]) -> None:
    """A dotted text that is exactly a module or binds there; one word only where a loader gets it."""
    closure = closure_of({**TREE, "start.py": text}, ["/start.py"])
    assert (set(closure.reached) - {"start.py"}, closure.computed) == (wanted, ())


@pytest.mark.parametrize(
    "text", ["bot.load_extension(x)", "app.config.from_object(f'{x}.y')\nimport_module(y)"]
)
def test_a_loader_with_a_computed_name(text: str) -> None:
    """As good as an import with one."""
    assert closure_of({**TREE, "start.py": text}, ["/start.py"]).computed == ("start.py",)


def test_a_relative_name_for_a_loader() -> None:
    """Seen from the package of the file, as Pyramid does; a scan without a name is of that package."""
    files = {**TREE, "app/main.py": "config.include('.sub')", "start.py": "import app.main"}
    assert "app/sub/deep.py" in closure_of(files, ["/start.py"]).reached
    files = {**TREE, "app/main.py": "config.scan()", "start.py": "import app.main"}
    assert set(closure_of(files, ["/start.py"]).reached) >= ALL_OF_APP


@pytest.mark.parametrize(("text", "named", "handed", "files"), CONFIGS)
def test_what_a_configuration_names(text: str, named: list[str], handed: list[str], files: list[str]) -> None:
    """Dotted texts, applications, ``.py`` files; of a project's own file its entry points alone."""
    facts = names_of(text.encode())
    assert ([*facts.named], [*facts.handed], [*facts.files]) == (named, handed, files)


DOCKERFILE = "FROM python\nWORKDIR /srv\nCOPY . ./\n{}CMD python start.py\n"
IMAGE = Rules(dockerfile="Dockerfile")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("logging.yaml", "class: app.models.Handler\nmodule: app.models\n"),
        ("conf/job.json", '{"module": "app.models"}'),
        ("setup.cfg", "[options.entry_points]\nx =\n    run = app.models\n"),
        ("jobs.ini", "command = python app/models.py\n"),
        ("logging.conf", "[handler_own]\nmodule = app.models\n"),
        ("prod.env", "HANDLER=app.models\n"),
        ("app.properties", "handler=app.models\n"),
    ],
)
def test_a_configuration_file_of_the_image_reaches_what_it_names(name: str, text: str) -> None:
    """It says so in the chain; a file that ``ignore`` takes out names nothing."""
    files = {**TREE, "start.py": "", "Dockerfile": DOCKERFILE.format(""), name: text}
    selection = selected(IMAGE, files)
    assert selection.because["app/models.py"] == (name,)
    assert "app/models.py" not in selection.unused
    assert "app/tasks.py" in selection.unused
    ignoring = Rules(dockerfile="Dockerfile", ignore=(f"/{name}",))
    assert "app/models.py" in selected(ignoring, files).unused


@pytest.mark.parametrize("name", [".hidden/jobs.yaml", "notes.md"])
def test_what_is_no_configuration_of_the_program_names_nothing(name: str) -> None:
    """A tool's hidden folder, and prose."""
    files = {**TREE, "start.py": "", "Dockerfile": DOCKERFILE.format(""), name: "module: app.models\n"}
    assert "app/models.py" in selected(IMAGE, files).unused


def test_a_variable_of_the_image_reaches_what_it_names() -> None:
    """Also a word alone where the variable is known to hold a module."""
    env = "ENV WORKER=app.tasks:add\nENV DJANGO_SETTINGS_MODULE=settings\n"
    selection = selected(IMAGE, {**TREE, "start.py": "", "Dockerfile": DOCKERFILE.format(env)})
    assert selection.because["app/tasks.py"] == ("ENV WORKER",)
    assert selection.because["settings.py"] == ("ENV DJANGO_SETTINGS_MODULE",)


@pytest.mark.parametrize("part", ["a.", "a", "a:", "a/", ".", "[", '"', "a = ", "\n[a", "script_location "])
def test_a_file_of_one_thing_over_and_over_is_read(part: str) -> None:
    """A quarter of a megabyte of it: work that grew with the square of it would not come to an end here."""
    text = (part * 262_144)[:262_144].encode()
    for facts in (names_of(text), facts_of(b"x = '''" + text + b"'''\n")):
        assert (facts.named, facts.handed, facts.computed) == ((), (), ())


def test_a_larger_file_is_data() -> None:
    """It names nothing, whatever it holds."""
    assert names_of(b"x: a.b\n" + b" " * 262_144) == ImportFacts()
