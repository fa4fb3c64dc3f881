"""A shell command line as far as it is literal: its simple commands, each as words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence

from shared.deployment.relevance.dockerfile_syntax import DockerfileError, expand

#: What nothing closes ends with the text, so that no part of it is looked at twice.
_TOKEN = re.compile(
    r"""(?P<comment>(?<!\S)\#[^\n]*)
    |(?P<redirect>\d*[<>]+&?)
    |(?P<end>&&|\|\||[;&|()\n]+)
    |(?P<word>(?:\\.|"(?:\\.|[^"\\])*\\?(?:"|\Z)|'[^']*(?:'|\Z)|\$\{[^}]*(?:\}|\Z)|\$\([^)]*(?:\)|\Z)
        |[^\s;&|()<>"'\\])+)""",
    re.VERBOSE | re.DOTALL,
)
#: Words of the shell that stand before a command; each branch is taken as one that may run.
_KEYWORDS = frozenset({"if", "then", "elif", "else", "fi", "do", "done", "while", "until", "!", "{", "}"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def commands(
    text: str, environment: MutableMapping[str, str], arguments: Sequence[str] = ()
) -> Iterator[tuple[str, ...]]:
    """Every simple command of a shell text, in order, whatever ``&&`` or ``if`` stands between.

    Variables get their values from ``environment``, which the text's assignments change; one that is not
    known stays as ``$NAME``. ``"$@"`` stands for ``arguments``. Assignments and redirections are no words.
    """
    for raw in _simple(re.sub(r"\\\r?\n", " ", text)):
        words = list(_words(raw, environment, arguments))
        while words and (words[0] in _KEYWORDS or words[0] == "export"):
            words.pop(0)
        while words and _ASSIGNMENT.match(words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if words:
            yield tuple(words)


def _simple(text: str) -> Iterator[list[str]]:
    """The raw words between ``;``, ``&&``, ``|`` and line ends, without redirections and comments."""
    words: list[str] = []
    redirected = False
    for token in _TOKEN.finditer(text):
        if token["end"]:
            yield words
            words = []
        elif token["word"] and not redirected:
            words.append(token["word"])
        redirected = bool(token["redirect"])
    yield words


def _words(raw: Sequence[str], variables: Mapping[str, str], arguments: Sequence[str]) -> Iterator[str]:
    for word in raw:
        if word.strip('"') in ("$@", "$*", "${@}"):
            yield from arguments
        else:
            yield _literal(word, variables)


def _literal(word: str, variables: Mapping[str, str]) -> str:
    """The word without quotes; what is not known keeps its dollar sign."""
    try:
        text, unknown = expand(word, variables)
        if unknown:
            text, _ = expand(word, {**variables, **{name: f"${name}" for name in unknown}})
    except DockerfileError:
        return word
    return text
