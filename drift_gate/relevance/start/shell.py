"""A shell command line as far as it is literal: its simple commands, each as words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence

from drift_gate.relevance.dockerfile.syntax import DockerfileError, expand

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
_KEYWORDS = frozenset(
    {"if", "then", "elif", "else", "fi", "do", "done", "esac", "while", "until", "!", "{", "}", "export"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
#: A function of the text is read where it stands; to call it starts nothing more.
_FUNCTION = re.compile(r"(?m)^[ \t]*(?:function[ \t]+([\w-]+)|([\w-]+)[ \t]*\([ \t]*\))")
_DOCUMENT = re.compile(r"(?<!<)<<-?[ \t]*[\"'\\]?(\w+)")
#: A command inside of a word, one level deep.
_INNER = re.compile(r"'[^']*'|\$\(([^()]*)\)|`([^`]*)`")

#: A variable with a default that is one word or begins with one; options name nothing that is started.
_DEFAULT = re.compile(r"\$\{([A-Za-z_]\w*):?[-=](?!-)[^}]+\}")


def without_defaults(text: str) -> str:
    """The shell text as a deploy may run it, which can set every variable that has a default."""
    return _DEFAULT.sub(r"${\1}", text)


def commands(
    text: str, environment: MutableMapping[str, str], arguments: Sequence[str] = ()
) -> Iterator[tuple[str, ...]]:
    """Every simple command of a shell text, in order, whatever ``&&`` or ``if`` stands between.

    Variables get their values from ``environment``, which the text's assignments change; one that is not
    known stays as ``$NAME``. ``"$@"`` stands for ``arguments``. Assignments, redirections, here-documents
    and the patterns of ``case`` are no words; calls of the text's own functions are no commands.
    """
    text = _without_documents(re.sub(r"\\\r?\n", " ", text))
    functions = {name for names in _FUNCTION.findall(text) for name in names if name}
    for raw in _simple(text):
        for word in raw:
            for inner in _INNER.finditer(word):
                yield from commands(inner[1] or inner[2] or "", environment, arguments)
        words = list(_words(raw, environment, arguments))
        while words and (words[0] in _KEYWORDS or words[0] in functions):
            if words.pop(0) in functions:
                words = []
        while words and _ASSIGNMENT.match(words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if words:
            yield tuple(words)


def _simple(text: str) -> Iterator[list[str]]:
    """The raw words between ``;``, ``&&``, ``|`` and line ends, without redirections and comments."""
    words: list[str] = []
    cases = 0
    redirected = pattern = False
    for token in _TOKEN.finditer(text):
        if end := token["end"]:
            first = words[0] if words else ""
            cases += (first == "case") - (first == "esac" and cases > 0)
            if not pattern and first not in ("case", "function") and words[-1:] != ["]]"]:
                yield words
            waits = pattern and first != "esac" and ")" not in end
            pattern = waits or (first == "case" and ")" not in end) or (cases > 0 and ";;" in end)
            words = []
        elif token["word"] and not redirected:
            words.append(token["word"])
        redirected = bool(token["redirect"])
    yield words


def _without_documents(text: str) -> str:
    """The text without the lines that a command is given to read."""
    kept: list[str] = []
    ends: list[str] = []
    for line in text.split("\n"):
        if ends:
            ends = ends[1:] if line.strip() == ends[0] else ends
        else:
            kept.append(line)
            ends = _DOCUMENT.findall(line)
    return "\n".join(kept)


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
