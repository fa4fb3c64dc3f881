"""What every git that is started here is given: variables, settings, options. Loads next to nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

#: Variables of git that a child keeps: how a remote is reached, and where the user's settings lie (they
#: hold credentials and `safe.directory`). All other `GIT_*` say which repository, index or objects to
#: use, or change what is printed.
KEPT_VARIABLES = re.compile(
    r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|PROXY_COMMAND|HTTP_PROXY_AUTHMETHOD|HTTP_USER_AGENT"
    r"|HTTP_LOW_SPEED_(LIMIT|TIME)|SSL_\w+|PROXY_SSL_\w+"
    r"|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+))"
)

#: What every child gets on top: no prompt, no lazy fetch, no helper transport that runs commands, no
#: replacement of objects, English messages, answers by the block: git writes a pipe commit by commit else.
#: Of a file of grafts that is there every git says first, in four lines, that they are out of date.
FIXED_VARIABLES: Mapping[str, str] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",
    "GIT_PAGER": "cat",
    "GIT_FLUSH": "0",
    "LC_ALL": "C",
}

#: Settings that win over the user's: those that change what is listed, and those that run a program or
#: write a file of the user's. `safe.bareRepository` speaks of repositories found by chance; ours is named.
#: What is fetched stays a pack: unpacked, a fetch that is cut off would leave a commit without its files.
FIXED_SETTINGS = (
    "log.showRoot=true",
    "log.showSignature=false",
    "core.quotePath=false",
    f"core.hooksPath={os.devnull}",
    f"core.attributesFile={os.devnull}",
    "core.fsmonitor=false",
    "core.logAllRefUpdates=false",
    "fetch.writeCommitGraph=false",
    "fetch.unpackLimit=1",
    "fetch.pruneTags=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.bareRepository=all",
)


def as_options(settings: Collection[str]) -> tuple[str, ...]:
    """``settings`` (``key=value``) as options of git."""
    return tuple(part for setting in settings for part in ("-c", setting))


OPTIONS = ("--no-pager", "--no-replace-objects", *as_options(FIXED_SETTINGS))

#: The commands of ours at which git may call a hook: they write a ref or an index.
WRITING = frozenset({"init", "fetch", "read-tree", "checkout-index", "commit"})
#: From git 2.54 on a hook may stand in the settings of the repository, the user or the system, which
#: `core.hooksPath` says nothing of: https://git-scm.com/docs/git-hook
_HOOK = r"^hook\..*\.event$"
ASK_HOOKS = ("config", "-z", "--name-only", "--get-regexp", _HOOK)


def without_hooks(keys: str) -> tuple[str, ...]:
    """The settings by which no hook runs whose ``keys`` (the answer to ``ASK_HOOKS``) stand in the settings.

    One by one: `hook.<event>.enabled` is not known to git 2.54, and holds only where no hook has the name of
    that event. Raises ``ValueError`` for a name that no option can bear.
    """
    names = dict.fromkeys(key.removeprefix("hook.").removesuffix(".event") for key in keys.split("\0") if key)
    for name in names:
        if "=" in name:
            raise ValueError(f"the hook {name!r} of git's configuration cannot be switched off: rename it")
    return tuple(f"hook.{name}.enabled=false" for name in names)


#: Lists each path as it is and says which commits it stands for, whatever the user's settings prefer.
#: ``-O/dev/null`` cancels an order file, which git would insist on reading.
DIFF_OPTIONS = ("-z", "--no-renames", "--no-relative", "--ignore-submodules=none", "-O/dev/null")
LOG_OPTIONS = (
    "-c",
    "--name-only",
    "--topo-order",
    *DIFF_OPTIONS,
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-decorate",
    "--no-notes",
    "--no-mailmap",
    "--no-show-signature",
    "--encoding=UTF-8",
)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` as git gets it: nothing in it can change what a command lists or make it ask."""
    kept = {
        key: value
        for key, value in environ.items()
        if not key.startswith("GIT_") or KEPT_VARIABLES.fullmatch(key)
    }
    return {**kept, **FIXED_VARIABLES}
