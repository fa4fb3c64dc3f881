"""What we know of the command lines of programs that load Python code: which word names the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """One program's command line.

    ``positional``: which word without an option is the application (0: the first), None for none.
    ``application``: options that name it. ``application_from``: the variable that does.
    ``arguments_from``: the variable with further arguments. ``defaults``: files tried when nothing names
    one. ``flags``: options that take no value; all others take one. ``root``, ``more_roots``: options
    with folders of imports. ``changes_folder``: options with a working folder. ``config``: a file that is
    read when it lies in the working folder. ``submodule``: a module of the application's package that is
    tried too. ``several``: all words from there on are modules. ``member``: the name may end with an
    attribute (``worker.Settings``). ``beside``: a folder beside the application's file whose files are
    started too. ``doubt``: why the command line does not tell all that is loaded.
    """

    name: str
    positional: int | None = None
    application: tuple[str, ...] = ()
    application_from: str = ""
    arguments_from: str = ""
    defaults: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    root: tuple[str, ...] = ()
    more_roots: tuple[str, ...] = ()
    changes_folder: tuple[str, ...] = ()
    config: str = ""
    submodule: str = ""
    several: bool = False
    member: bool = False
    beside: str = ""
    doubt: str = ""


def _flags(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _both_ways(text: str) -> frozenset[str]:
    return frozenset(f"--{no}{name}" for name in text.split() for no in ("", "no-"))


#: From the programs' own manuals.
PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program(
            "gunicorn",
            positional=0,
            arguments_from="GUNICORN_CMD_ARGS",
            flags=_flags(
                "--reload --preload --daemon -D --spew --check-config --print-config --no-sendfile"
                " --capture-output --enable-stdio-inheritance -R --log-syslog --proxy-protocol --reuse-port"
                " --initgroups --disable-redirect-access-to-syslog --do-handshake-on-connect"
                " --suppress-ragged-eofs --strip-header-spaces --no-control-socket"
            ),
            more_roots=("--pythonpath",),
            changes_folder=("--chdir",),
            config="gunicorn.conf.py",
        ),
        Program(
            "uvicorn",
            positional=0,
            flags=_flags(
                "--reload --factory --use-colors --no-use-colors --proxy-headers --no-proxy-headers"
                " --server-header --no-server-header --date-header --no-date-header --access-log"
                " --no-access-log --reset-contextvars"
            ),
            root=("--app-dir",),
        ),
        Program("hypercorn", positional=0, flags=_flags("--reload --debug --daemon -D --no-access-log")),
        Program(
            "functions-framework",
            application=("--source",),
            application_from="FUNCTION_SOURCE",
            defaults=("main.py",),
            flags=_flags("--debug"),
        ),
        Program(
            "flask",
            application=("--app", "-A"),
            application_from="FLASK_APP",
            defaults=("wsgi.py", "app.py"),
            flags=_flags("--debug --no-debug --reload --no-reload"),
        ),
        Program(
            "fastapi",
            positional=1,
            application=("--entrypoint", "-e"),
            defaults=("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py"),
            flags=_flags("--reload --no-reload --proxy-headers --no-proxy-headers --verbose"),
        ),
        Program(
            "celery",
            application=("-A", "--app"),
            application_from="CELERY_APP",
            changes_folder=("--workdir",),
            submodule="celery",
            member=True,
        ),
        Program(
            "granian",
            positional=0,
            flags=_both_ways(
                "ws http1-keep-alive http1-pipeline-flush http2-adaptive-window log access-log"
                " ssl-client-verify respawn-failed-workers factory metrics reload"
                " reload-ignore-worker-failure"
            ),
            changes_folder=("--working-dir",),
        ),
        Program("daphne", positional=0, flags=_flags("--proxy-headers --no-server-name")),
        Program(
            "waitress-serve",
            positional=0,
            application=("--app",),
            flags=_flags("--call --asyncore-use-poll")
            | _both_ways("ipv4 ipv6 expose-tracebacks log-socket-errors log-untrusted-proxy-headers")
            | _both_ways("clear-untrusted-proxy-headers"),
        ),
        Program(
            "dramatiq",
            positional=0,
            several=True,
            flags=_flags("--skip-logging --use-spawn --watch-use-polling --verbose -v"),
            more_roots=("--path", "-P"),
        ),
        Program("arq", positional=0, member=True, flags=_both_ways("burst") | _flags("--check --verbose -v")),
        Program(
            "huey_consumer",
            positional=0,
            member=True,
            flags=_flags(
                "-v --verbose -q --quiet -S --simple -n --no-periodic -f --flush-locks"
                " -c --disable-health-check"
            ),
        ),
        Program("streamlit", positional=1, flags=_flags(""), beside="pages"),
        Program(
            "uwsgi",
            application=("--module", "-w", "--wsgi", "--wsgi-file", "--file"),
            more_roots=("--pythonpath", "--python-path", "--pp"),
            changes_folder=("--chdir",),
        ),
        Program(
            "django-admin",
            application=("--settings",),
            application_from="DJANGO_SETTINGS_MODULE",
            more_roots=("--pythonpath",),
        ),
        *(
            Program(
                name, application=("--config", "-c"), doubt="runs jobs whose modules only the queue names"
            )
            for name in ("rq", "rqworker")
        ),
    )
}


def option(arguments: Sequence[str], names: Sequence[str]) -> str | None:
    """The last value of an option, written ``--name value``, ``--name=value`` or ``-nvalue``."""
    found = None
    for index, word in enumerate(arguments):
        for name in names:
            if word == name:
                found = next(iter(arguments[index + 1 :]), found)
            elif name.startswith("--") and word.startswith(f"{name}="):
                found = word.partition("=")[2]
            elif not name.startswith("--") and word.startswith(name):
                found = word[len(name) :].removeprefix("=")
    return found


def positionals(arguments: Sequence[str], flags: frozenset[str]) -> list[str]:
    """The words that are neither an option nor an option's value."""
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return words + rest
        if not word.startswith("-") or word == "-":
            words.append(word)
        elif word not in flags and (word.startswith("--") or len(word) == 2) and "=" not in word:
            rest = rest[1:]
    return words
