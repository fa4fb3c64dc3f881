"""Programs that start another one, and those of a start script that certainly start no Python."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A program's words before the command that it starts.

    ``own``: how many words of its own stand there. ``values``: options that take the next word; all others
    take none. ``text``: options whose value is the command itself, as one text. ``verb``: the word
    without which it starts nothing. ``module``: options that name a module for Python to run.
    """

    own: int = 0
    values: frozenset[str] = frozenset()
    text: frozenset[str] = frozenset()
    verb: str = ""
    module: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _wrapper(own: int = 0, values: str = "", text: str = "", verb: str = "", module: str = "") -> Wrapper:
    return Wrapper(own, _words(values), _words(text), verb, _words(module))


_PLAIN = _words("builtin catatonit command ddtrace-run dumb-init nohup setsid with-contenv exec time chronic")
_UV = (
    "-p --python --with --with-editable --with-requirements --extra --no-extra --group --no-group "
    "--only-group --env-file --package --no-package --directory --project --config-file --cache-dir "
    "-w --index --refresh-package --default-index --index-url -i --extra-index-url --find-links -f "
    "--upgrade-package -P --color --exclude-newer "
)
#: From the programs' own manuals and their ``--help``.
WRAPPERS: Mapping[str, Wrapper] = {
    **{name: _wrapper() for name in _PLAIN},
    "chpst": _wrapper(values="-u -U -e -/ -n -l -L -m -d -o -p -f -c -r -t"),
    "conda": _wrapper(verb="run", values="-n --name -p --prefix --cwd"),
    "doppler": _wrapper(verb="run", values="-p --project -c --config -t --token", text="--command"),
    "dotenv": _wrapper(verb="run", values="-f --file -q --quote"),
    "env": _wrapper(values="-u --unset -C --chdir", text="-S --split-string"),
    "gosu": _wrapper(own=1),
    "hatch": _wrapper(verb="run", values="-e --env -p --project --data-dir --cache-dir --config"),
    "ionice": _wrapper(values="-c -n --class --classdata"),
    "micromamba": _wrapper(verb="run", values="-n --name -p --prefix --cwd -r --root-prefix"),
    "newrelic-admin": _wrapper(verb="run-program"),
    "nice": _wrapper(values="-n --adjustment"),
    "opentelemetry-instrument": _wrapper(values="*"),
    "pdm": _wrapper(verb="run", values="-p --project -c --config --venv --env-file"),
    "pipenv": _wrapper(verb="run", values="--python"),
    "poetry": _wrapper(verb="run", values="-C --directory -P --project"),
    "rye": _wrapper(verb="run"),
    "s6-setuidgid": _wrapper(own=1),
    "setpriv": _wrapper(
        values="--reuid --regid --groups --ambient-caps --inh-caps --bounding-set --securebits --pdeathsig"
    ),
    "setuidgid": _wrapper(own=1),
    "stdbuf": _wrapper(values="-i -o -e --input --output --error"),
    "su-exec": _wrapper(own=1),
    "sudo": _wrapper(values="-u --user -g --group -h --host -C -D --chdir -p --prompt -r -t"),
    "timeout": _wrapper(own=1, values="-s --signal -k --kill-after"),
    "tini": _wrapper(values="-p -e"),
    "uv": _wrapper(verb="run", values=_UV, module="-m --module"),
    "xargs": _wrapper(
        values="-a -d -E -I -L -n -P -s --arg-file --delimiter --max-args --max-procs --max-lines --replace"
    ),
}
#: These take the command as a text, wherever that stands: ``su - app -c "…"``.
_AS_ANOTHER = frozenset({"su", "runuser"})
#: Options of ``find`` behind which a command stands.
_EXECUTING = _words("-exec -execdir -ok -okdir")
#: Words of the shell and programs that load no code of the repository, whatever their words are.
HARMLESS = _words(
    ": [ [[ alias apk apt apt-get aws awk base64 basename bg break cat chgrp chmod chown cloud-sql- "
    "proxy cloud_sql_proxy continue cp curl cut date declare df dig dirname disown dpkg du echo "
    "egrep envoy envsubst esac exit export false fg fgrep for in free getent getopts git gpg grep "
    "groupadd groups gsutil gunzip gzip hash head hostname id install jobs jq kill ldconfig let ln "
    "local locale-gen ls md5sum memcached mkdir mkfifo mktemp mv nc nginx nproc nslookup openssl "
    "pg_isready pgrep ping pip pip3 pkill printenv printf ps psql pwd read readarray readlink "
    "readonly realpath redis-cli redis-server return rm rmdir sed select seq set sha256sum shift "
    "shopt sleep sort ss stat stty sync tail tar tee test touch tr trap true tty type typeset ulimit "
    "umask uname uniq unset unzip update-ca-certificates useradd wait wc wget which whoami yq "
)
_INSTALLS = _words(
    "activate add build cache config create deactivate env export init install list lock pip publish python"
    " remove self show sync tool tree update venv version"
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def unwrapped(words: Sequence[str], environment: MutableMapping[str, str]) -> list[list[str]]:
    """The commands themselves, behind programs that only start others, and assignments, which are made.

    ``-S``, ``-c`` and the like give the words of their text; an option that names a module gives
    ``python -m``; ``find`` may start several. Empty where nothing is started.
    """
    found, left = [], [list(words)]
    while left:
        rest = _command(left.pop(), environment)
        if rest and posixpath.basename(rest[0]) == "find":
            left += reversed(_for_each(rest[1:]))
        elif rest:
            found.append(rest)
    return found


def _command(words: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    rest = list(words)
    while rest:
        name = posixpath.basename(rest[0])
        if _ASSIGNMENT.match(rest[0]):
            variable, _, value = rest.pop(0).partition("=")
            environment[variable] = value
        elif name in _AS_ANOTHER:
            rest = _as_another(rest[1:])
        elif name in WRAPPERS:
            rest = _behind(rest[1:], WRAPPERS[name])
        else:
            break
    return rest


def _behind(words: list[str], wrapper: Wrapper) -> list[str]:
    """The words behind a wrapper's options and its own arguments."""
    own, verb = wrapper.own, wrapper.verb
    rest = list(words)
    while rest and (own or verb or rest[0].startswith("-")):
        word = rest.pop(0)
        option, _, value = word.partition("=")
        if word == "--" and not own and not verb:
            break
        if option in wrapper.module:
            return ["python", "-m", *([value] if value else []), *rest]
        if option in wrapper.text:
            return [*split(value or "".join(rest[:1])), *rest[0 if value else 1 :]]
        if word.startswith("-"):
            takes_next = (option in wrapper.values or "*" in wrapper.values) and not value
            rest = rest[1:] if takes_next and word != "--" else rest
        elif word == verb:
            verb = ""
        elif own:
            own -= 1
        else:  # ``pdm serve`` runs a script of the project's, ``pdm install`` none
            return [] if word in _INSTALLS else [word, *rest]
    return rest


def _as_another(words: list[str]) -> list[str]:
    """``su [user] -c text``, ``runuser -u user -- command``; without either, a shell to type into."""
    for index, word in enumerate(words):
        name, _, value = word.partition("=")
        if name in ("-c", "--command"):
            return split(value or "".join(words[index + 1 : index + 2]))
        if word == "--":
            return words[index + 1 :]
    return []


def _for_each(words: list[str]) -> list[list[str]]:
    """``find folder -exec command {} ; -exec other {} +``; nothing where it only finds."""
    found: list[list[str]] = []
    begin = None
    for index, (before, word) in enumerate(pairwise(["", *words])):
        if begin is None and word in _EXECUTING:
            begin = index + 1
        elif begin is not None and (word == ";" or (before, word) == ("{}", "+")):
            found.append(words[begin:index])
            begin = None
    return found if begin is None else [*found, words[begin:]]


def split(text: str) -> list[str]:
    """The words of a text as the shell takes them; by white space where a quote is open."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
