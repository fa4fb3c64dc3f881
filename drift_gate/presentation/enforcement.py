"""Why a denial does not hold, in words. Pure."""

from __future__ import annotations

_WORDS = {
    "enforcement": "the policy only warns",
    "enforce-from": "the policy refuses nothing yet",
}


def why_not_enforced(because: object) -> str:
    """What ``not_enforced_because`` means to a person; a word that explains itself stays."""
    word = str(because)
    return _WORDS.get(word, word)
