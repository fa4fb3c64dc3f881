"""Which texts of a file name modules without an import: by their form, or because a loader gets them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from drift_gate.relevance.python.import_statements import names_in, text_of
from drift_gate.relevance.python.spelling import UNKNOWN, Spelling

#: A module with its package, and what may stand behind it: an attribute, or a scheme before it.
_DOTTED = re.compile(r"(?:ext://)?([^\W\d]\w*(?:\.[^\W\d]\w*)+(?::[^\W\d][\w.]*)?)")
_FILE = re.compile(r"([\w./-]+\.(?:py|sh|bash))(?:::?[^\W\d][\w.]*)?")
_NAME = re.compile(r"\.*[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d][\w.]*)?")
#: Methods and functions that load what they are told, and the modules below it.
_LOADERS = frozenset(
    {
        "autodiscover_tasks",
        "config_from_object",
        "find_modules",
        "from_object",
        "import_submodules",
        "include",
        "load_assets_from_package_module",
        "load_assets_from_package_name",
        "load_extension",
        "load_extensions",
        "scan",
    }
)
#: Of these every argument is a module's name: one that is computed is an import that is computed.
_OF_MODULES = frozenset(
    {"Celery", "find_modules", "import_submodules", "load_extension", "load_extensions", "setdefault"}
)
#: A text that comes from outside names a module; an object would not come from there.
_FROM_OUTSIDE = re.compile(r"\b(?:environb?|getenv|argv)\b")
#: Django's own list, whose names are known where it is written.
_APPS_OF_DJANGO = re.compile(r"INSTALLED_APPS|get_app_configs|app_configs")
#: Variables, settings and arguments that hold what a framework loads.
_SETTINGS = frozenset(
    {
        "ASGI_APPLICATION",
        "CELERY_IMPORTS",
        "CELERY_INCLUDE",
        "DJANGO_SETTINGS_MODULE",
        "INSTALLED_APPS",
        "ROOT_URLCONF",
        "WSGI_APPLICATION",
        "imports",
        "include",
    }
)
#: First arguments that say of the second that it names modules, or a folder of them.
_NAMING = _SETTINGS | {"script_location"}
#: Functions that run the files of a folder: the argument that names it, and the folder that it is by default.
_OF_FOLDERS = {"Dash": ("pages_folder", "pages"), "upgrade": ("directory", "migrations")}


def named(text: str) -> str | None:
    """The module, with its attribute, or the file or script that a text may name by itself; None: nothing."""
    if file := _FILE.fullmatch(text):
        return file[1]
    dotted = _DOTTED.fullmatch(text)
    return dotted[1] if dotted else None


def may_hand(call: ast.Call, word: str) -> bool:
    """Whether a call of what ends with ``word`` is worth asking ``handed`` and ``folders`` about."""
    return (
        loads(word)
        or (len(call.args) > 1 and text_of(call.args[0]) in _NAMING)
        or (bool(call.keywords) and any(keyword.arg in _SETTINGS for keyword in call.keywords))
    )


def loads(word: str) -> bool:
    """Whether it is the name of a function that loads what it is told, or what lies in a folder."""
    return word in _LOADERS or word in _OF_FOLDERS


def may_set(name: str) -> bool:
    """Whether what is assigned to a name may be a list of modules."""
    return name == "__all__" or name in _SETTINGS or name.endswith("_APPS")


def handed(node: ast.AST, word: str, spelling: Spelling) -> Iterator[str]:
    """What ``node`` hands to a loader: module names, which may be relative to the package of the file.

    ``word``: the last one of what is called, an alias of an import undone.

    An ``UNKNOWN`` part stands only where a name of a module is sure to be meant.
    """
    if isinstance(node, ast.Call):
        yield from _by_call(node, word, spelling)
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is not None and any(map(_is_setting, targets)):
            yield from _apps(spelling.texts(node.value))


def handed_objects(node: ast.AST, word: str) -> Iterator[str]:
    """The local names of what ``node`` hands to a loader as an object: a package, perhaps."""
    if isinstance(node, ast.Call) and word in _LOADERS:
        yield from (given.id for given in node.args if isinstance(given, ast.Name))


def folders(node: ast.AST, word: str, spelling: Spelling) -> Iterator[str]:
    """The paths of what is run because it lies in a folder: alembic's ``env.py``, pages of Dash."""
    if not isinstance(node, ast.Call):
        return
    told = frozenset[str]()
    if len(node.args) > 1 and text_of(node.args[0]) == "script_location":
        told = spelling.texts(node.args[1])
    elif name := _OF_FOLDERS.get(word):
        given = [each.value for each in node.keywords if each.arg == name[0]]
        told = spelling.texts(given[0]) if given else frozenset({name[1]})
    yield from (f"{text.rstrip('/')}/*.py" for text in told)


def _by_call(call: ast.Call, name: str, spelling: Spelling) -> Iterator[str]:
    given = [*call.args, *(keyword.value for keyword in call.keywords)] if name in _LOADERS else []
    if name == "setdefault" and call.args and text_of(call.args[0]) in _SETTINGS:
        given = call.args[1:]
    if name == "scan" and not given and "config" in ast.unparse(call.func):
        yield "."  # the package that calls it
    given += [keyword.value for keyword in call.keywords if keyword.arg in _SETTINGS]
    for argument in given:
        sure = name in _OF_MODULES or _is_told(argument, spelling)
        sure |= name == "autodiscover_tasks" and not _APPS_OF_DJANGO.search(ast.unparse(argument))
        for text in _apps(spelling.texts(argument.body if isinstance(argument, ast.Lambda) else argument)):
            if UNKNOWN not in text or sure or (len(text) > 1 and name in _LOADERS):
                yield text


def _is_told(argument: ast.expr, spelling: Spelling) -> bool:
    """Whether a name of a module is sure to be meant by what a loader gets."""
    values = spelling.values(argument) if isinstance(argument, ast.Name) else [argument]
    return any(value is not None and _FROM_OUTSIDE.search(ast.unparse(value)) for value in values)


def _is_setting(target: ast.expr) -> bool:
    """``INSTALLED_APPS``, ``LOCAL_APPS``, ``app.conf.imports``, ``os.environ["DJANGO_SETTINGS_MODULE"]``."""
    if isinstance(target, ast.Subscript):
        return text_of(target.slice) in _SETTINGS
    if isinstance(target, ast.Attribute):
        return target.attr in _SETTINGS
    return any(name in _SETTINGS or name.endswith("_APPS") for name in names_in([target]))


def _apps(texts: frozenset[str]) -> Iterator[str]:
    """The texts that can be names, and the package of an application that is named by its class."""
    for text in sorted(texts):
        if UNKNOWN in text or _NAME.fullmatch(text):
            yield text
            parts = text.split(".")
            if len(parts) > 2 and parts[-1][:1].isupper():
                yield ".".join(parts[:-2])
