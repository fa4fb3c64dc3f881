"""What a string expression spells, one row per way to build a string."""

from __future__ import annotations

import ast

import pytest

from shared.deployment.relevance.spelling import spelled

ROWS = [
    ("'a'", "a"),
    ("b'a'", "*"),
    ("1", "*"),
    ("x", "*"),
    ("[1]", "*"),
    ("f'a{b}c'", "a*c"),
    ("f'{a}{b}'", "*"),
    ("f'{__name__}.x'", "<module>.x"),
    ("'a' + b + 'c'", "a*c"),
    ("'a' 'b'", "ab"),
    ("'a' - 'b'", "*"),
    ("'a%sb' % x", "a*b"),
    ("'%(x)s.%05.2f' % d", "*.*"),
    ("'a%s' * 2", "*"),
    ("'{}.b'.format(x)", "*.b"),
    ("'{0.x[1]:>8}b{y}'.format(x)", "*b*"),
    ("'{}'.join(x)", "*"),
    ("format('a{}')", "*"),
    ("f(x)", "*"),
    ("__package__ + '.x'", "<package>.x"),
    ("__spec__.parent", "<package>"),
    ("__spec__.name", "*"),
    ("other.parent", "*"),
    ("'*' + x + '*'", "*"),
]


@pytest.mark.parametrize(("expression", "text"), ROWS)
def test_what_is_spelt(expression: str, text: str) -> None:
    """A star stands for what only the running program knows, one for several in a row."""
    assert spelled(ast.parse(expression, mode="eval").body) == text
