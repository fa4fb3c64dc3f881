"""What starts code without an import: other interpreters, and loaders that take names out of data."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from drift_gate.relevance.python.import_facts import MODULE_NAME
from drift_gate.relevance.python.import_statements import last_word
from drift_gate.relevance.python.spelling import UNKNOWN, Spelling, Texts

# What reads commands is loaded with the first: it takes half the time of loading all that reads a module, and
# most modules start nothing.

#: These may name any module: pickles name the classes of what they hold, entry points what is installed,
#: a queue the functions of its jobs, and a notebook imports like a module.
NAMED_DOUBTS = frozenset(
    {
        *(f"{kind}.load" for kind in ("pickle", "_pickle", "dill", "cloudpickle", "joblib")),
        *(f"{kind}.loads" for kind in ("pickle", "_pickle", "dill", "cloudpickle")),
        *("pickle.Unpickler", "dill.Unpickler", "shelve.open", "pandas.read_pickle"),
        *("builtins.exec", "builtins.eval", "pkg_resources.iter_entry_points"),
        *("code.interact", "code.InteractiveConsole", "code.InteractiveInterpreter"),
        *("marshal.load", "marshal.loads", "pydantic.ImportString"),
        *(f"rq.{kind}" for kind in ("Worker", "SimpleWorker", "worker.Worker", "worker.SimpleWorker")),
        *("rq.worker_pool.WorkerPool", "papermill.execute_notebook"),
        *("nbclient.NotebookClient", "nbconvert.preprocessors.ExecutePreprocessor"),
        *("yaml.unsafe_load", "yaml.unsafe_load_all", "jsonpickle.decode", "jsonpickle.loads"),
        *(f"stevedore.{kind}" for kind in ("DriverManager", "ExtensionManager", "NamedExtensionManager")),
        *(f"mlflow.{kind}.load_model" for kind in ("pyfunc", "pytorch", "sklearn")),
        *("importlib.metadata.entry_points", "importlib_metadata.entry_points", "metadata.entry_points"),
    }
)
#: Without one of these nothing is started.
STARTERS = frozenset({"subprocess", "asyncio", "os"})
_INTERPRETER = re.compile(r"(?:.*/)?(?:python|pypy)[0-9.]*")
_SHELL = frozenset(
    {
        "create_subprocess_shell",
        "system",
        "popen",
        "run",
        "Popen",
        "call",
        "check_call",
        "check_output",
        "getoutput",
        "getstatusoutput",
    }
)
_SHELL_OR_SPLIT = _SHELL | {"split"}
#: Options of the interpreter that take the next word.
_TAKE_ONE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_SEQUENCES = (ast.List, ast.Tuple)

Kind = Literal["module", "file", "code"]


def commands_in(node: ast.AST, spelling: Spelling) -> list[list[Texts]]:
    """The words of each interpreter's command in ``node``, the interpreter itself left out.

    A command is a sequence, two that are added up, the arguments of a call, or a text for the shell, also one
    that is taken apart into its words.
    """
    if isinstance(node, _SEQUENCES) or (isinstance(node, ast.BinOp) and isinstance(node.left, _SEQUENCES)):
        words = [*_sequence(node)]
    elif isinstance(node, ast.Call):
        words = node.args
    else:
        return []
    first = spelling.texts(words[0]) if words else frozenset()
    if any(map(_INTERPRETER.fullmatch, first)):
        handed = isinstance(node, ast.Call) and (
            len(words) < 2 or isinstance(words[1], (*_SEQUENCES, ast.BinOp))
        )
        return [] if handed else [[spelling.texts(word) for word in words[1:]]]
    if not isinstance(node, ast.Call):
        return []
    return [found for text in sorted(_command_line(node, spelling)) for found in _shell(text)]


def started(words: Sequence[Texts]) -> tuple[Kind, Texts] | None:
    """What the interpreter runs: a module by its name, a file by its path, or a text; None: nothing.

    No words at all are words that come later.
    """
    rest = [*words] or [frozenset({UNKNOWN})]
    while rest:
        word = rest.pop(0)
        option = next(iter(word)) if len(word) == 1 else ""
        if not option and any(each.startswith("-") for each in word):  # several words in one place
            return "code", frozenset({UNKNOWN})
        if not option.startswith("-"):
            return "file", word
        if option in ("-m", "-c"):
            return ("module" if option == "-m" else "code"), next(iter(rest), frozenset({UNKNOWN}))
        if option in _TAKE_ONE:
            rest = rest[1:]
    return None


def served(node: ast.AST, spelling: Spelling) -> tuple[list[str], bool]:
    """The words that may be modules of a server or task runner that is started, and whether one is computed.

    A sequence of words, or a text for the shell.
    """
    if isinstance(node, _SEQUENCES) and node.elts:
        found = [_served([spelling.texts(each) for each in _sequence(node)])]
    elif isinstance(node, ast.Call):
        texts = sorted(text for text in _command_line(node, spelling) if " " in text)
        found = [_served([frozenset({word}) for word in words]) for words in _lines(texts)]
    else:
        found = []
    return [name for names, _ in found for name in names], any(computed for _, computed in found)


def _lines(texts: Sequence[str]) -> list[Sequence[str]]:
    """The words of each command in texts for the shell."""
    if not texts:
        return []
    from drift_gate.relevance.start.shell import commands
    from drift_gate.relevance.start.wrappers import unwrapped

    return [line for text in texts for words in commands(text, {}) for line in unwrapped(words, {})]


def _served(words: Sequence[Texts]) -> tuple[list[str], bool]:
    """The same of the words of one command."""
    from drift_gate.relevance.start.programs import PROGRAMS

    first = {posixpath.basename(text) for text in words[0]}
    program = next((PROGRAMS[name] for name in sorted(first) if name in PROGRAMS), None)
    if program is None:
        return [], False
    before = {*program.application, *(first if program.positional == 0 else ())}
    behind = [word for last, word in pairwise(words) if {posixpath.basename(each) for each in last} & before]
    names = [text for word in words[1:] for text in sorted(word) if MODULE_NAME.fullmatch(text)]
    return names, any(UNKNOWN in word for word in behind)


def _sequence(node: ast.expr) -> Iterator[ast.expr]:
    """The words of a part of a command; one that stands for all of them where they cannot be counted."""
    if isinstance(node, _SEQUENCES):
        for each in node.elts:
            yield from _sequence(each.value) if isinstance(each, ast.Starred) else [each]
    elif isinstance(node, ast.BinOp):
        yield from _sequence(node.left)
        yield from _sequence(node.right)
    else:
        yield node


def _command_line(call: ast.Call, spelling: Spelling) -> Texts:
    """The texts that a call hands to the shell, or takes apart: ``shlex.split(text)``, ``text.split()``."""
    word = last_word(call)
    given = call.args[0] if call.args and word in _SHELL_OR_SPLIT else None
    if word == "split" and isinstance(call.func, ast.Attribute) and ast.unparse(call.func) != "shlex.split":
        given = call.func.value
    return frozenset() if given is None else spelling.texts(given)


def _shell(text: str) -> Iterator[list[Texts]]:
    """The words behind each interpreter that a text for the shell starts."""
    if "py" not in text:
        return
    from drift_gate.relevance.start.shell import commands

    for words in commands(text, {}):
        at = next((index for index, word in enumerate(words) if _INTERPRETER.fullmatch(word)), None)
        if at is not None and (not at or words[at + 1 :]):  # alone behind another word it is a word
            yield [frozenset({UNKNOWN if word.startswith("$") else word}) for word in words[at + 1 :]]
