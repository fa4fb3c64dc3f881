"""Where an image's Python starts: one row per way to start it."""

from __future__ import annotations

import pytest

from shared.deployment.relevance.dockerfile import read_image
from shared.deployment.relevance.entrypoints import EntryPoints, found
from shared.deployment.relevance.shell_words import commands

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
    ("CMD python ${SCRIPT:-prod.py}", "prod.py | /app"),
    ('CMD ["env", "PYTHONPATH=/app/src", "python", "-m", "api"]', "src/api.py=api | /app /app/src"),
    ('ENTRYPOINT ["tini", "-g", "--"]\nCMD ["python", "worker.py"]', "worker.py | /app"),
    ('CMD ["gosu", "nobody", "python", "worker.py"]', "worker.py | /app"),
    ("CMD uv run --no-sync python worker.py", "worker.py | /app"),
    ("CMD opentelemetry-instrument python worker.py", "worker.py | /app"),
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
]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_a_way_to_start_is_understood(text: str, expected: str) -> None:
    """All that the command names, and where its imports are sought, in Python's order."""
    result = start(text)
    assert (short(result), result.unresolved) == (expected, None)


#: What cannot be told, and a part of what is said about it.
DOUBTS = [
    ("RUN true", "neither CMD nor ENTRYPOINT"),
    ('CMD ["node", "server.js"]', "nothing in 'node server.js' is known to start Python"),
    ("CMD echo hello", "is known to start Python"),
    ("CMD python", "without a script"),
    ('CMD ["python", "-c", "import worker"]', "python -c"),
    ("CMD python absent.py", "the image has no absent.py from the repository"),
    ('CMD ["python", "$APP"]', "the image has no $APP from the repository"),
    ("CMD python -m http.server", "the image has no module http.server from the repository"),
    ("CMD gunicorn absent:app", "the image has no module absent from the repository"),
    ("CMD gunicorn $APP", "the image has no module $APP from the repository"),
    ("CMD gunicorn --bind :80", "starts gunicorn without an application"),
    ("CMD $SERVER", "starts $SERVER, which is set at run time"),
    ('CMD ["./late.sh"]', "starts $SERVER, which is set at run time"),
    ('CMD ["./absent.sh"]', "is known to start Python"),
    ("CMD sh absent.sh", "starts absent.sh, which cannot be read"),
    ("CMD ./empty.sh", "in which nothing is known to start Python"),
    ("CMD ./loop.sh", "which cannot be read"),
    ("CMD ./binary", "which is no Python and no shell script"),
    ("CMD bash", "is known to start Python"),
    ('CMD ["exec"]', "is known to start Python"),
]


@pytest.mark.parametrize(("text", "said"), DOUBTS)
def test_what_cannot_be_told_is_said(text: str, said: str) -> None:
    """Then nothing may be narrowed down."""
    unresolved = start(text).unresolved
    assert unresolved is not None
    assert said in unresolved


def test_an_entry_point_says_why() -> None:
    """The head of every reason chain."""
    result = start("CMD exec gunicorn -c prod.py worker:app")
    assert [entry.because for entry in result.entries] == [
        "gunicorn worker:app",
        "named by prod.py",
        "gunicorn reads gunicorn.conf.py",
    ]


def test_the_commands_of_a_shell_text() -> None:
    """What is literal becomes words; what is not stays visible."""
    environment = {"A": "1"}
    text = 'B=$A; x="p q"; run --b=$B \'$A\' "$x" $C \\\n last >out 2>&1 | tee; (cd /d && go $(date)) # end'
    assert list(commands(text, environment, ())) == [
        ("run", "--b=1", "$A", "p q", "$C", "last"),
        ("tee",),
        ("cd", "/d"),
        ("go", "$(date)"),
    ]
    assert environment == {"A": "1", "B": "1", "x": "p q"}
