"""Where an image's Python starts: one row per way to start it."""

from __future__ import annotations

import pytest

from drift_gate.relevance.dockerfile.image import read_image
from drift_gate.relevance.start.entrypoints import EntryPoints, found
from drift_gate.relevance.start.shell import commands

#: The image's files, all below /app; the scripts' texts.
FILES = {
    "worker.py": "",
    "prod.py": "",
    "gunicorn.conf.py": "",
    "main.py": "",
    "tool": "#!/usr/bin/env python3\nimport worker\n",
    "binary": "\x7fELF",
    "pkg/__init__.py": "",
    "pkg/__main__.py": "",
    "pkg/server.py": "",
    "pkg/celery.py": "",
    "src/api.py": "",
    "start.sh": "#!/bin/sh\nset -e\nexport PYTHONPATH=/app/src\n# python x\nexec python -m pkg.server\n",
    "entry.sh": '#!/bin/sh\nif [ -n "$X" ]; then\n  python prod.py\nfi\nexec "$@"\n',
    "nested.sh": "set -x\n./start.sh &\n",
    "loop.sh": "sh loop.sh\n",
    "empty.sh": "echo nothing\n",
    "late.sh": "python prod.py; exec $SERVER\n",
    "begin": "#!/bin/bash\npython worker.py\n",
    "perl": "#!/usr/bin/perl\npython worker.py\n",
    "words": "to be run with sh\npython worker.py\n",
    **{f"{number}.sh": f"sh {number + 1}.sh\n" for number in range(6)},
    "6.sh": "python worker.py\n",
    "src/ui.py": "",
    "src/pages/one.py": "",
    "migrations/env.py": "",
    "migrations/versions/two.py": "",
    "deep/alembic.ini": "[alembic]\nscript_location = %(here)s/db\n",
    "deep/odd.ini": "[alembic]\nscript_location = package:db\n",
    "deep/db/env.py": "",
    "deep/db/versions/one.py": "",
    "deep/uwsgi.ini": "[uwsgi]\n; module = no\nchdir = /app/src\nmodule = api:app\nmaster = true\n",
    "deep/supervisord.conf": (
        "[supervisord]\nnodaemon=true\n[program:web]\ndirectory=/app/src\n"
        'environment=A="1",PORT="80"\ncommand=uvicorn api:app --port %(ENV_PORT)s\n'
        "[eventlistener:end]\ncommand=python worker.py ; the end\n"
    ),
    "deep/Procfile": "web: gunicorn worker:app\njobs:   exec python prod.py\n",
    "deep/Odd": "web: node server.js\n",
    "pyproject.toml": (
        '[project.scripts]\ninside = "pkg.server:main"\noutside = "other.place:main"\n'
        '[tool.poetry.scripts]\npoem = {reference = "api:main", type = "console"}\n'
    ),
    "setup.cfg": "[options.entry_points]\nconsole_scripts =\n    config = pkg.server:main\n",
    "wide.sh": (
        '#!/usr/bin/env bash\nset -euo pipefail\nlog() {\n  echo "$(date) $1"\n}\nfunction main {\n'
        '  cat <<-END > /tmp/x\n\tprogram is not run\n\tEND\n  python prod.py\n}\nmain "$@"\n'
        "for i in $(seq 3); do nc -z db 5432 && break; sleep 1; done\n"
        "if [[ $1 == web && -n $2 ]]; then log x; fi\n"
        'case "$1" in\n  web|api)\n    exec gunicorn worker:app ;;\n  jobs) python -m pkg.server\nesac\n'
    ),
}


def start(text: str) -> EntryPoints:
    """The entry points of an image that holds FILES below /app."""
    dockerfile = f"FROM python:3.11\nWORKDIR /app\nCOPY . .\n{text}\n"
    texts = {**FILES, "Dockerfile": dockerfile}
    image = read_image(texts, texts.get, dockerfile="Dockerfile", context=".")
    assert image is not None
    return found(image, texts.get)


def short(result: EntryPoints) -> str:
    """The entry points, ``path`` or ``path=module``, and behind ``|`` the import roots."""
    entries = (entry.path + (f"={entry.module}" if entry.module else "") for entry in result.entries)
    return " ".join(path.removeprefix("/app/") for path in entries) + " | " + " ".join(result.roots)


#: The instructions at the end of the Dockerfile; entry points and roots.
ROWS = [
    # the interpreter
    ('CMD ["python", "worker.py"]', "worker.py | /app"),
    ("CMD python worker.py", "worker.py | /app"),
    ("CMD exec python3.11 -u -X dev -W ignore worker.py --port $PORT", "worker.py | /app"),
    ('CMD ["/usr/local/bin/python3", "/app/src/api.py"]', "src/api.py | /app/src"),
    ('CMD ["python", "-m", "pkg.server"]', "pkg/server.py=pkg.server | /app"),
    ('CMD ["python", "-um", "pkg.server"]', "pkg/server.py=pkg.server | /app"),
    ('CMD ["python", "-m", "pkg"]', "pkg/__main__.py=pkg.__main__ | /app"),
    ('CMD ["python", "pkg"]', "pkg/__main__.py | /app/pkg"),
    ('ENTRYPOINT ["python"]\nCMD ["worker.py"]', "worker.py | /app"),
    ("ENTRYPOINT python worker.py\nCMD ignored", "worker.py | /app"),
    ('CMD ["python", "worker.py", "--config", "prod.py"]', "worker.py prod.py | /app"),
    ('CMD ["python", "worker.py", "--config=src/api.py"]', "worker.py src/api.py | /app"),
    ("CMD python worker.py --set=config=prod.py", "worker.py prod.py | /app"),
    ("CMD python worker.py config=prod.py", "worker.py prod.py | /app"),
    ("CMD python worker.py start.sh", "worker.py | /app"),
    ("CMD python worker.py --use pkg.gone", "worker.py pkg/__init__.py=pkg | /app"),
    ("CMD python -mmain", "main.py=main | /app"),
    ("CMD python -Ximporttime -Xpycache_prefix=/tmp -Wmodule -Wonce worker.py", "worker.py | /app"),
    ("CMD python --check-hash-based-pycs never worker.py", "worker.py | /app"),
    ("CMD python -m functions_framework --target=handle", "main.py | /app"),
    # import roots
    ("ENV PYTHONPATH=/app/src:/app\nCMD python worker.py", "worker.py | /app /app/src"),
    ("ENV PYTHONPATH=src\nCMD python -m api", "src/api.py=api | /app /app/src"),
    ("WORKDIR src\nCMD python api.py", "src/api.py | /app/src"),
    ("WORKDIR /\nCMD python app/worker.py", "worker.py | /app"),
    # the shell
    ('CMD ["sh", "-c", "exec python worker.py"]', "worker.py | /app"),
    ('ENTRYPOINT ["/bin/bash", "-ec", "python prod.py && python worker.py"]', "prod.py worker.py | /app"),
    ("CMD A=1 B='x y' python worker.py > /dev/null 2>&1 &", "worker.py | /app"),
    ("CMD cd src && python api.py", "src/api.py | /app/src"),
    ("CMD PYTHONPATH=/app/src python -m api", "src/api.py=api | /app /app/src"),
    ("ENV APP=worker\nCMD python $APP.py", "worker.py | /app"),
    ('CMD ["env", "PYTHONPATH=/app/src", "python", "-m", "api"]', "src/api.py=api | /app /app/src"),
    ('ENTRYPOINT ["tini", "-g", "--"]\nCMD ["python", "worker.py"]', "worker.py | /app"),
    ('CMD ["gosu", "nobody", "python", "worker.py"]', "worker.py | /app"),
    ("CMD uv run --no-sync python worker.py", "worker.py | /app"),
    ("CMD opentelemetry-instrument python worker.py", "worker.py | /app"),
    ('CMD ["bash", "-e", "-c", "python worker.py"]', "worker.py | /app"),
    ('CMD ["sh", "-c", "python prod.py;", "python worker.py"]', "prod.py | /app"),
    (
        'CMD ["sh", "-c", "exec \\"$@\\"", "-", "python", "-m", "pkg.server"]',
        "pkg/server.py=pkg.server | /app",
    ),
    ('ENTRYPOINT exec "$@"\nCMD ["-", "python", "worker.py"]', "worker.py | /app"),
    ('CMD ["sh", "-e", "./entry.sh", "python", "worker.py"]', "prod.py worker.py | /app"),
    ("CMD bash --norc ./entry.sh python -m pkg.server", "prod.py pkg/server.py=pkg.server | /app"),
    ("CMD bash +x begin", "worker.py | /app"),
    ("CMD source ./begin", "worker.py | /app"),
    ('CMD ["env", "app=1", "python", "worker.py"]', "worker.py | /app"),
    (
        'CMD ["env", "FLASK_APP=pkg.server:create(a=1)", "flask", "run"]',
        "pkg/server.py=pkg.server | /app",
    ),
    ("CMD FLASK_APP='pkg.server:create(a=1)' flask run", "pkg/server.py=pkg.server | /app"),
    ("CMD gunicorn --chdir src api:app & python worker.py", "src/api.py=api worker.py | /app/src /app"),
    # gunicorn
    (
        "CMD exec gunicorn --bind :$PORT --workers 1 --threads 8 worker:app",
        CONF := "worker.py=worker gunicorn.conf.py | /app",
    ),
    ("CMD gunicorn -b :8080 -w4 --reload worker:app", CONF),
    ("CMD gunicorn 'worker:create(1)'", CONF),
    ("ENV PORT=80\nCMD gunicorn --bind=:$PORT --preload -k uvicorn.workers.UvicornWorker worker", CONF),
    ("CMD python -m gunicorn worker:app", CONF),
    ("CMD gunicorn -c prod.py worker:app", "worker.py=worker prod.py gunicorn.conf.py | /app"),
    ("CMD gunicorn --config file:prod.py worker:app", "worker.py=worker prod.py gunicorn.conf.py | /app"),
    (
        "CMD gunicorn --config python:pkg.server worker:app",
        "worker.py=worker pkg/server.py=pkg.server gunicorn.conf.py | /app",
    ),
    (
        "CMD gunicorn -k pkg.server.Worker worker:app",
        "worker.py=worker pkg/server.py=pkg.server gunicorn.conf.py | /app",
    ),
    ("CMD gunicorn --chdir src api:app", "src/api.py=api | /app/src"),
    ("CMD gunicorn --pythonpath src,pkg api:app", "src/api.py=api gunicorn.conf.py | /app /app/src /app/pkg"),
    ('ENV GUNICORN_CMD_ARGS="--chdir src --reload"\nCMD gunicorn api:app', "src/api.py=api | /app/src"),
    # its relatives
    (
        'CMD ["uvicorn", "pkg.server:app", "--host", "0.0.0.0", "--port", "8080"]',
        "pkg/server.py=pkg.server | /app",
    ),
    ("CMD uvicorn --proxy-headers --factory worker:app", "worker.py=worker | /app"),
    ("CMD uvicorn --app-dir src api:app", "src/api.py=api | /app/src"),
    ("CMD python -m uvicorn --app-dir=src api:app", "src/api.py=api | /app /app/src"),
    ("CMD hypercorn --bind :$PORT worker:app", "worker.py=worker | /app"),
    ("CMD hypercorn src/api.py:app", "src/api.py | /app /app/src"),
    ("CMD functions-framework --target=handle", "main.py | /app"),
    ("CMD functions-framework --source src/api.py --target handle --debug", "src/api.py | /app /app/src"),
    ("ENV FUNCTION_SOURCE=src/api.py\nCMD functions-framework --target handle", "src/api.py | /app /app/src"),
    ("CMD flask --app worker run --host 0.0.0.0", "worker.py=worker | /app"),
    ("ENV FLASK_APP=pkg.server:create\nCMD flask run", "pkg/server.py=pkg.server | /app"),
    ("CMD fastapi run src/api.py --port 80", "src/api.py | /app /app/src"),
    ("CMD fastapi run pkg/server.py", "pkg/server.py | /app /app/pkg"),
    ("CMD fastapi run", "main.py | /app"),
    ("CMD fastapi run ./pkg", "pkg/__main__.py | /app /app/pkg"),
    ("CMD uvicorn --app-dir lib pkg/server.py:app", "pkg/server.py | /app/lib /app/pkg /app"),
    ("CMD celery -Aworker:app worker", "worker.py=worker | /app"),
    ("CMD celery -A pkg:app worker", "pkg/__init__.py=pkg pkg/celery.py=pkg.celery | /app"),
    ("CMD celery -A worker:app worker -l info", "worker.py=worker | /app"),
    ("CMD celery --app=pkg worker", "pkg/__init__.py=pkg pkg/celery.py=pkg.celery | /app"),
    # scripts
    ('CMD ["./start.sh"]', "pkg/server.py=pkg.server | /app /app/src"),
    ("CMD sh -e nested.sh", "pkg/server.py=pkg.server | /app /app/src"),
    ('CMD ["sh", "start.sh"]', "pkg/server.py=pkg.server | /app /app/src"),
    ("CMD . ./start.sh", "pkg/server.py=pkg.server | /app /app/src"),
    ('ENTRYPOINT ["/app/entry.sh"]\nCMD ["python", "worker.py"]', "prod.py worker.py | /app"),
    ("COPY start.sh /usr/local/bin/begin.sh\nCMD begin.sh", "pkg/server.py=pkg.server | /app /app/src"),
    ('CMD ["./worker.py"]', "worker.py | /app"),
    ('CMD ["./tool"]', "tool | /app"),
    ('CMD ["./begin"]', "worker.py | /app"),
    ("COPY empty.sh /usr/bin/begin\nCMD ./begin", "worker.py | /app"),
    ("CMD sh 2.sh", "worker.py | /app"),
    # what starts something else
    *(
        (f"CMD {wrapper} python worker.py", "worker.py | /app")
        for wrapper in (
            "timeout -s TERM 30",
            "timeout --signal=TERM -k 5 30s",
            "xargs -n 1 -P4",
            "find . -name '*.py' -exec",
            "setsid -w",
            "stdbuf -oL -e 0",
            "env -i -u HOME A=1",
            "env -S 'A=1 nice -n 5'",
            "nice -n 5 ionice -c2 -n 7",
            "tini -s -p SIGTERM -e 143 --",
            "dumb-init --rewrite=15:2 --",
            "opentelemetry-instrument --traces_exporter console --service_name x",
            "ddtrace-run",
            "sudo -E -u nobody",
            "setpriv --reuid=1 --regid 2 --clear-groups",
            "pdm run -p .",
            "hatch -e prod run",
            "poetry -C . run",
            "pipenv run",
            "conda run -n base --no-capture-output",
            "uv run --frozen --with x --env-file .env --",
            "doppler run -p x --",
            "newrelic-admin run-program",
            "honcho run",
            "echo started && sleep 1; exec",
            "case $X in a|b) exit;; (c) sleep 1 ;; *)",
        )
    ),
    ("CMD find . -exec nice find src -exec python worker.py {} +", "worker.py | /app"),
    (
        "CMD find . -exec python worker.py {} + -execdir python -m pkg.server \\;",
        "worker.py pkg/server.py=pkg.server | /app",
    ),
    (
        'CMD ["find", ".", "-exec", "python", "worker.py", ";", "-ok", "sh", "start.sh", ";"]',
        "worker.py pkg/server.py=pkg.server | /app /app/src",
    ),
    ("CMD su nobody -s /bin/sh -c 'python worker.py'", "worker.py | /app"),
    ("CMD su - nobody --command='exec python worker.py'", "worker.py | /app"),
    ("CMD runuser -u nobody -- python worker.py", "worker.py | /app"),
    ("CMD eval 'python worker.py'", "worker.py | /app"),
    ("CMD uv run -m pkg.server", "pkg/server.py=pkg.server | /app"),
    ("CMD uv run --module=pkg.server", "pkg/server.py=pkg.server | /app"),
    ("CMD uv run worker.py", "worker.py | /app"),
    ("CMD gunicorn-like worker:app", "worker.py=worker | /app"),
    ("CMD kopf run prod.py", "prod.py | "),
    ("CMD wait-for db:1 -- python worker.py", "worker.py | /app"),
    ("CMD runner start.sh", "pkg/server.py=pkg.server | /app /app/src"),
    # programs of the field
    (
        "CMD granian --interface asgi --no-ws --workers 2 pkg.server:app",
        PKG := "pkg/server.py=pkg.server | /app",
    ),
    ("CMD granian --working-dir src api:app", "src/api.py=api | /app/src"),
    ("CMD daphne --proxy-headers -b 0.0.0.0 -p 80 pkg.server:app", PKG),
    ("CMD waitress-serve --port=80 --call --no-ipv6 pkg.server:create", PKG),
    ("CMD waitress-serve --app=pkg.server:app", PKG),
    (
        "CMD dramatiq --skip-logging -p 2 worker:broker pkg.server main",
        "pkg/server.py=pkg.server main.py=main worker.py=worker | /app",
    ),
    ("CMD arq --burst pkg.server.Settings", PKG),
    ("CMD huey_consumer.py pkg.server.huey -k process -w 4", PKG),
    ("CMD streamlit run src/ui.py --server.port 80", "src/ui.py src/pages/one.py | /app /app/src"),
    ("CMD uwsgi --http :80 --wsgi-file worker.py --mule=prod.py", "worker.py prod.py | /app"),
    ("CMD uwsgi --module pkg.server:app --master", PKG),
    ("CMD uwsgi --ini deep/uwsgi.ini", "src/api.py=api | /app/src"),
    ("CMD django-admin migrate --settings pkg.server", PKG),
    ("ENV DJANGO_SETTINGS_MODULE=pkg.server\nCMD django-admin migrate", PKG),
    (
        "CMD alembic -c deep/alembic.ini upgrade head && python worker.py",
        "deep/db/env.py deep/db/versions/one.py worker.py | /app",
    ),
    (
        "CMD flask --app worker db upgrade",
        "worker.py=worker migrations/env.py migrations/versions/two.py | /app",
    ),
    ("CMD supervisord -c deep/supervisord.conf", "src/api.py=api worker.py | /app/src /app"),
    (
        "COPY deep/supervisord.conf /etc/supervisor/conf.d/app.conf\nCMD supervisord -n",
        "src/api.py=api worker.py | /app/src /app",
    ),
    ("CMD honcho start -f deep/Procfile", "worker.py=worker gunicorn.conf.py prod.py | /app"),
    ("CMD inside --port 80", "pkg/server.py=pkg.server | /app /app/src"),
    ("CMD poem", "src/api.py=api | /app /app/src"),
    ("CMD config", "pkg/server.py=pkg.server | /app /app/src"),
    (
        'CMD ["python", "-c", "from pkg.server import run; import time, prod; run()"]',
        "pkg/server.py=pkg.server prod.py=prod | /app",
    ),
    ('CMD ["python", "-c", "import pkg.gone.far"]', "pkg/__init__.py=pkg | /app"),
    ('CMD ["python", "-cimport main"]', "main.py=main | /app"),
    # shell scripts
    ("CMD ./wide.sh web 80", "prod.py worker.py=worker gunicorn.conf.py pkg/server.py=pkg.server | /app"),
]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_a_way_to_start_is_understood(text: str, expected: str) -> None:
    """All that the command names, and where its imports are sought, in Python's order."""
    result = start(text)
    assert (short(result), result.unresolved) == (expected, None)


#: What cannot be told, and what is said about it.
DOUBTS = [
    ('CMD ["node", "server.js"]', "starts node, of which nothing is known"),
    ("CMD python worker.py & ruby x.rb", "starts ruby, of which nothing is known"),
    (
        "CMD /venv/bin/program --port 80 & python worker.py",
        "starts /venv/bin/program, of which nothing is known",
    ),
    ("CMD pdm serve", "starts serve, of which nothing is known"),
    ("CMD uv sync && true", "nothing in '/bin/sh -c uv sync && true' is known to start Python"),
    ("CMD timeout 5 program", "starts program, of which nothing is known"),
    ("CMD PORT=$(program) python worker.py", "starts program, of which nothing is known"),
    ("CMD python worker.py `program`", "starts program, of which nothing is known"),
    ("CMD cron && python worker.py", "starts cron, of which nothing is known"),
    ("CMD rq worker -c prod", "starts rq, which runs jobs whose modules only the queue names"),
    ("CMD rqworker", "starts rqworker, which runs jobs whose modules only the queue names"),
    ("CMD alembic upgrade head", "starts alembic, whose migrations cannot be seen"),
    ("CMD alembic -c deep/odd.ini upgrade head", "starts alembic, whose migrations cannot be seen"),
    ("CMD flask --app worker db -d absent upgrade", "starts flask db, whose migrations cannot be seen"),
    ("CMD supervisord", "starts supervisord, whose file cannot be seen"),
    ("CMD supervisord -c deep/alembic.ini", "reads /app/deep/alembic.ini, in which no command can be seen"),
    ("CMD honcho start -f absent", "reads /app/absent, in which no command can be seen"),
    ("CMD honcho start -f deep/Odd", "starts node, of which nothing is known"),
    ("CMD uwsgi --ini absent.ini", "starts uwsgi, whose file absent.ini cannot be read"),
    ("CMD uwsgi --http :80", "starts uwsgi without an application that can be seen"),
    ("CMD django-admin migrate", "starts django-admin without an application that can be seen"),
    ("CMD outside", "outside: the image has no module other.place from the repository"),
    (
        'CMD ["python", "-c", "import_module(x)"]',
        SAID := "runs python -c, whose text does not tell all that it imports",
    ),
    ('CMD ["python", "-c", "exec(x)"]', SAID),
    ('CMD ["python", "-c", "import ("]', SAID),
    ("CMD echo hello", "nothing in '/bin/sh -c echo hello' is known to start Python"),
    ("CMD python", "runs python without a script"),
    ("CMD python -m", "python -m : the image has no module  from the repository"),
    ("CMD python absent.py", "python absent.py: the image has no absent.py from the repository"),
    ('CMD ["python", "$APP"]', "python $APP: the image has no $APP from the repository"),
    (
        "CMD python -m http.server",
        "python -m http.server: the image has no module http.server from the repository",
    ),
    ("CMD gunicorn absent:app", "gunicorn absent:app: the image has no module absent from the repository"),
    ("CMD gunicorn $APP", "gunicorn $APP: the image has no module $APP from the repository"),
    ("CMD gunicorn --bind :80", "starts gunicorn without an application that can be seen"),
    (
        "CMD hypercorn absent/api.py",
        "hypercorn absent/api.py: the image has no absent/api.py from the repository",
    ),
    ("CMD $SERVER", "starts $SERVER, which is set at run time"),
    ('CMD ["./late.sh"]', "starts $SERVER, which is set at run time"),
    ('CMD ["./absent.sh"]', "starts ./absent.sh, of which nothing is known"),
    ("CMD sh absent.sh", "starts absent.sh, which cannot be read"),
    ("CMD ./empty.sh", "starts /app/empty.sh, in which nothing is known to start Python"),
    ("CMD ./loop.sh", "starts loop.sh, which cannot be read"),
    ("CMD sh 1.sh", "starts 6.sh, which cannot be read"),
    ("CMD ./binary", "starts /app/binary, which is no Python and no shell script"),
    ("CMD ./perl", "starts /app/perl, which is no Python and no shell script"),
    ("CMD ./words", "starts /app/words, which is no Python and no shell script"),
    ("CMD bash", "nothing in '/bin/sh -c bash' is known to start Python"),
    ('CMD ["sh", "-c"]', "nothing in 'sh -c' is known to start Python"),
    ('CMD ["exec"]', "nothing in 'exec' is known to start Python"),
]


@pytest.mark.parametrize(("text", "said"), DOUBTS)
def test_what_cannot_be_told_is_said(text: str, said: str) -> None:
    """Then nothing may be narrowed down."""
    assert start(text).unresolved == said


def test_an_image_that_says_nothing() -> None:
    """No entry point and no root is made up."""
    assert start("RUN true") == EntryPoints((), (), "the Dockerfile has neither CMD nor ENTRYPOINT")


@pytest.mark.parametrize(
    ("text", "because"),
    [
        (
            "CMD exec gunicorn -c prod.py worker:app",
            ["gunicorn worker:app", "named by prod.py", "gunicorn reads gunicorn.conf.py"],
        ),
        (
            "CMD gunicorn -k pkg.server.Own worker:app",
            ["gunicorn worker:app", "named by pkg.server.Own", "gunicorn reads gunicorn.conf.py"],
        ),
        ("CMD python worker.py --config=prod.py", ["python worker.py", "named by --config=prod.py"]),
        ("CMD python -m pkg.server", ["python -m pkg.server"]),
        ("CMD python -m pkg", ["python -m pkg"]),
        ("CMD celery --app=pkg worker", ["celery pkg", "celery pkg"]),
        ("CMD hypercorn src/api.py:app", ["hypercorn src/api.py:app"]),
        ('CMD ["./worker.py"]', ["/app/worker.py"]),
        (
            "CMD python worker.py; python worker.py prod.py worker.py",
            ["python worker.py", "named by prod.py"],
        ),
    ],
)
def test_an_entry_point_says_why(text: str, because: list[str]) -> None:
    """The head of every reason chain; of several reasons the first."""
    assert [entry.because for entry in start(text).entries] == because


def test_the_commands_of_a_shell_text() -> None:
    """What is literal becomes words; what is not stays visible."""
    environment = {"A": "1"}
    text = 'B=$A; x="p q"; run --b=$B \'$A\' "$x" $C \\\n last >out 2>&1 | tee; (cd /d && go $(date)) # end'
    assert list(commands(text, environment, ())) == [
        ("run", "--b=1", "$A", "p q", "$C", "last"),
        ("tee",),
        ("cd", "/d"),
        ("date",),
        ("go", "$(date)"),
    ]
    assert environment == {"A": "1", "B": "1", "x": "p q"}


@pytest.mark.parametrize("text", ['run "$@"', "run $@", "run $*", 'run "${@}"', "run ${@}"])
def test_the_arguments_of_a_shell_text(text: str) -> None:
    """They stand where the text passes them on; a variable whose value has an equals sign keeps it."""
    environment: dict[str, str] = {}
    assert list(commands(f"A=b=c; {text} end", environment, ("x", "y z"))) == [("run", "x", "y z", "end")]
    assert environment == {"A": "b=c"}
