"""Small programs in the shape of real frameworks: what a start loads is in the closure.

Each is started with the framework that its name says, and is skipped where that is not installed:
``make frameworks`` installs them all.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from relevance.test_selection import selected
from support.python_imports import write

from drift_gate.relevance.rules import Rules
from drift_gate.wiring import trace

#: No program names it.
DEAD = "dead.py"


@dataclass(frozen=True)
class Program:
    """``files`` with the command that an image starts; ``must`` is loaded by name alone."""

    framework: str
    files: Mapping[str, str]
    must: frozenset[str]
    command: str = "python main.py"


def program(framework: str, must: str, *, command: str = "python main.py", **files: str) -> Program:
    """``__`` in the name of a file stands for a slash, a last ``_py`` and the like for the ending."""
    named = {}
    for name, text in files.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        stem = stem.replace("INIT", "__init__").replace("gunicorn_conf", "gunicorn.conf")
        named[f"{stem}.{ending}"] = text
    return Program(framework, named, frozenset(must.split()), command)


PROGRAMS = [
    program(
        "django",
        "mysite/urls.py blog/models.py blog/apps.py blog/signals.py blog/middleware.py mysite/settings.py",
        main_py="import os, django\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
        "django.setup()\nfrom django.test import RequestFactory\n"
        "from django.core.handlers.wsgi import WSGIHandler\n"
        "WSGIHandler().get_response(RequestFactory().get('/'))\n",
        mysite__INIT_py="",
        mysite__settings_py="SECRET_KEY = 'x'\nDEBUG = True\nALLOWED_HOSTS = ['*']\n"
        "ROOT_URLCONF = 'mysite.urls'\n"
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'blog.apps.BlogConfig']\n"
        "MIDDLEWARE = ['blog.middleware.Own']\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n",
        mysite__urls_py="from django.urls import include, path\n"
        "urlpatterns = [path('', include('blog.urls'))]\n",
        blog__INIT_py="",
        blog__apps_py="from django.apps import AppConfig\nclass BlogConfig(AppConfig):\n    name = 'blog'\n"
        "    def ready(self):\n        from . import signals\n",
        blog__signals_py="",
        blog__models_py="from django.db import models\nclass Post(models.Model):\n    pass\n",
        blog__urls_py="from django.urls import path\nfrom . import views\n"
        "urlpatterns = [path('', views.home)]\n",
        blog__views_py="from django.http import HttpResponse\n"
        "def home(request):\n    return HttpResponse('x')\n",
        blog__middleware_py="class Own:\n    def __init__(self, get_response):\n"
        "        self.get = get_response\n"
        "    def __call__(self, request):\n        return self.get(request)\n",
    ),
    program(
        "pyramid",
        "web/routes.py web/views/home.py web/views/INIT.py",
        main_py="from web import main\nmain()\n",
        web__INIT_py="from pyramid.config import Configurator\ndef main():\n"
        "    with Configurator() as config:\n        config.include('.routes')\n"
        "        config.scan('.views')\n        return config.make_wsgi_app()\n",
        web__routes_py="def includeme(config):\n    config.add_route('home', '/')\n",
        web__views__INIT_py="",
        web__views__home_py="from pyramid.view import view_config\n"
        "@view_config(route_name='home', renderer='string')\ndef home(request):\n    return 'x'\n",
    ),
    program(
        "celery",
        "jobs/tasks.py late.py celeryconfig.py",
        main_py="from celery import Celery\napp = Celery('x', include=['late'])\n"
        "app.config_from_object('celeryconfig')\napp.autodiscover_tasks(['jobs'], force=True)\n"
        "app.loader.import_default_modules()\nprint(app.conf.timezone)\n",
        celeryconfig_py="timezone = 'UTC'\n",
        late_py="",
        jobs__INIT_py="",
        jobs__tasks_py="from celery import shared_task\n@shared_task\ndef add():\n    pass\n",
    ),
    program(
        "discord",
        "cogs/odds.py extra.py",
        main_py="import asyncio, os\nimport discord\nfrom discord.ext import commands\n"
        "bot = commands.Bot('!', intents=discord.Intents.none())\nasync def main():\n"
        "    for name in sorted(os.listdir('cogs')):\n        if name.endswith('.py'):\n"
        "            await bot.load_extension(f'cogs.{name[:-3]}')\n"
        "    for each in ('extra',):\n        await bot.load_extension(each)\n"
        "asyncio.run(main())\n",
        cogs__odds_py="async def setup(bot):\n    pass\n",
        extra_py="async def setup(bot):\n    pass\n",
    ),
    program(
        "flask",
        "settings.py web/views.py",
        main_py="from web import create\ncreate()\n",
        settings_py="class Production:\n    DEBUG = False\n",
        web__INIT_py="from flask import Flask\nfrom werkzeug.utils import import_string\n"
        "def create():\n    app = Flask(__name__)\n    app.config.from_object('settings.Production')\n"
        "    for each in ('web.views:blueprint',):\n        app.register_blueprint(import_string(each))\n"
        "    return app\n",
        web__views_py="from flask import Blueprint\nblueprint = Blueprint('views', __name__)\n",
    ),
    program(
        "alembic",
        "migrations/env.py migrations/versions/first.py",
        main_py="from alembic import command\nfrom alembic.config import Config\n"
        "command.upgrade(Config('alembic.ini'), 'head', sql=True)\n",
        alembic_ini="[alembic]\nscript_location = %(here)s/migrations\n",
        migrations__env_py="from alembic import context\ncontext.configure(dialect_name='sqlite')\n"
        "with context.begin_transaction():\n    context.run_migrations()\n",
        migrations__versions__first_py="revision = 'a1'\ndown_revision = None\ndef upgrade():\n    pass\n",
    ),
    program(
        "hydra",
        "models/net.py",
        main_py="import hydra\nfrom hydra.utils import instantiate\n"
        "@hydra.main(version_base=None, config_path='conf', config_name='run')\n"
        "def main(cfg):\n    instantiate(cfg.model)\nmain()\n",
        conf__run_yaml="defaults:\n  - model: net\n  - _self_\nhydra:\n  output_subdir: null\n"
        "  run:\n    dir: .\n  job:\n    chdir: false\n",
        conf__model__net_yaml="_target_: models.net.Net\nwidth: 2\n",
        models__net_py="class Net:\n    def __init__(self, width):\n        pass\n",
    ),
    program(
        "apscheduler",
        "jobs.py later/tick.py",
        main_py="from apscheduler.schedulers.background import BackgroundScheduler\n"
        "scheduler = BackgroundScheduler()\nscheduler.add_job('jobs:tick', 'interval', hours=1)\n"
        "scheduler.add_job('later.tick:run', 'interval', hours=1)\n",
        jobs_py="def tick():\n    pass\n",
        later__tick_py="def run():\n    pass\n",
    ),
    program(
        "gunicorn",
        "web/app.py web/workers.py gunicorn.conf.py",
        command="python -m gunicorn web.app:app",
        gunicorn_conf_py="worker_class = 'web.workers.Own'\npreload_app = True\n"
        "def on_starting(server):\n    raise SystemExit(0)\n",
        web__INIT_py="",
        web__app_py="def app(environ, start_response):\n    pass\n",
        web__workers_py="from gunicorn.workers.sync import SyncWorker\nclass Own(SyncWorker):\n    pass\n",
    ),
    program(
        "logging",
        "logs/handlers.py logs/filters.py",
        main_py="import json, logging.config\nlogging.config.dictConfig(json.load(open('logging.json')))\n",
        logging_json='{"version": 1, "filters": {"own": {"()": "logs.filters.Own"}}, "handlers": {"own": '
        '{"class": "logs.handlers.Own", "filters": ["own"]}}, "root": {"handlers": ["own"]}}',
        logs__INIT_py="",
        logs__handlers_py="import logging\nclass Own(logging.Handler):\n    pass\n",
        logs__filters_py="import logging\nclass Own(logging.Filter):\n    pass\n",
    ),
]


@pytest.mark.parametrize("started", PROGRAMS, ids=[each.framework for each in PROGRAMS])
def test_what_a_real_start_loads_is_in_the_closure(started: Program, tmp_path: Path) -> None:
    """It holds no less than Python loads, by name and by import, and still leaves out what nobody names."""
    if importlib.util.find_spec(started.framework) is None and os.environ.get("FRAMEWORKS") != "all":
        pytest.skip(f"{started.framework} is not installed here: make frameworks")
    files = {**started.files, DEAD: ""}
    write(tmp_path, files)
    words = [sys.executable if word == "python" else word for word in started.command.split()]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = trace.run(words, tmp_path, environ, cwd=tmp_path, seconds=120)
    loaded = {path for path in ran.files if path.endswith(".py")}
    assert ran.code == 0
    assert {path.replace("INIT", "__init__") for path in started.must} <= loaded
    dockerfile = f"FROM python\nWORKDIR /app\nCOPY . ./\nCMD {started.command}\n"
    selection = selected(Rules(dockerfile="Dockerfile"), {**files, "Dockerfile": dockerfile})
    assert loaded <= selection.because.keys()
    assert selection.unused == (DEAD,)
    assert [each for each in selection.findings if each.code == "computed-import"] == []
