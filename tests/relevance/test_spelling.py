"""What a string expression spells, one row per way to build a string."""

from __future__ import annotations

import ast

import pytest

from drift_gate.relevance.python.scopes import Scopes
from drift_gate.relevance.python.spelling import LISTED, Spelling

ROWS = [
    ("'a'", "a"),
    ("x", "*"),
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


# a program whose last line is an expression → every text that it may be
PROGRAMS: list[tuple[str, set[str]]] = [
    ("b'a'", set()),
    ("1", set()),
    ("[1]", set()),
    ("'a' if x else 'b'", {"a", "b"}),
    ("x or 'a'", {"*", "a"}),
    ("a = 'x'\na", {"x"}),
    ("a = 'x'\na = 'y'\na + '.z'", {"x.z", "y.z"}),
    ("def f(a):\n    return a\na", {"*"}),
    ("a = 'x'\ndef f(a): pass\na", {"x"}),
    ("a = 'x'\na += 'y'\na", {"x", "*"}),
    ("a = a + 'x'\na", {"*x"}),
    ("for a in ('x', 'y'): pass\n'p.' + a", {"p.x", "p.y"}),
    ("T = ['x', 'y']\nfor a in T: pass\nf'p.{a}'", {"p.x", "p.y"}),
    ("T = ['x']\nU = T + ['y']\nfor a in U: pass\na", {"x", "y"}),
    ("T = ['x']\nT += ['y']\nT.append('z')\nT[0] = 'q'\nT[1]", {"x", "y", "z", "q"}),
    ("T = {'k': 'x', 'l': 'y'}\nT[z]", {"k", "l", "x", "y"}),
    ("T = {'k': 'x'}\nT.get(z, 'y')", {"k", "x", "y"}),
    ("T = {'k': 'x'}\nfor a, b in sorted(T.items()): pass\nb", {"k", "x"}),
    ("T = {'k': 'x', **more}\nT[z]", {"k", "x", "*"}),
    ("T = ['x']\nT.extend(more)\nT[0]", {"x", "*"}),
    ("T = dict(k='x')\nT['k']", {"k", "x"}),
    ("os.environ.get('X', 'y')", {"*"}),
    ("'x.y'[1:]", {"*"}),
    ("m, _, c = 'a.b:c'.partition(':')\nm", {"a.b:c", "a", "a.b", "b:c", "c"}),
    ("'.'.join(['a', x, 'b'])", {"a.*.b"}),
    ("[f'p.{n}' for n in ('a', 'b')]", {"p.a", "p.b"}),
    ("import x as a\na", {"*"}),
    ("with f() as a: pass\na", {"*"}),
    ("a = 'x'\ndef f():\n    global a\n    a = x\na", {"x", "*"}),
    ("def f():\n    a = 'x'\n    def g():\n        a = 'y'\na", {"*"}),
    ("for m in pkgutil.iter_modules(p): pass\nf'p.{m.name}'", {f"p.{LISTED}"}),
    ("for _, m, _ in walk_packages(p): pass\nm", {LISTED}),
    ("Path(__file__).parent / 'plugins' / 'x.py'", {"*/plugins/x.py"}),
    ("os.path.join(os.path.dirname(__file__), 'p', f'{x}.py')", {"*/p/*.py"}),
    ("str(Path(__file__).with_name('x.py').resolve())", {"*/x.py"}),
    ("for f in (Path(x) / 'p').glob('*.py'): pass\nf", {"*/p/*.py"}),
    ("for f in glob.glob('p/*.py'): pass\nf", {"p/*.py"}),
    ("f'{sys.executable} -m {x}'", {"python -m *"}),
]


def texts(program: str) -> set[str]:
    tree = ast.parse(program)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)
    return set(Spelling(Scopes(tree)).texts(last.value))


@pytest.mark.parametrize(("expression", "text"), ROWS)
def test_what_is_spelt(expression: str, text: str) -> None:
    """A star stands for what only the running program knows, one for several in a row."""
    assert texts(expression) == {text}


@pytest.mark.parametrize(("program", "wanted"), PROGRAMS)
def test_what_a_name_may_stand_for(program: str, wanted: set[str]) -> None:
    """All values that a name may have, and all texts of a collection; a star where that is not all."""
    assert texts(program) == wanted


def test_combinations_and_lengths_are_bounded() -> None:
    """Ten names of ten values each make no ten thousand million texts, and doubling makes no giant."""
    many = "x = " + " or ".join(f"'{letter}'" for letter in "abcdefghij")
    assert all("*" in text for text in texts(f"{many}\n" + " + ".join(["x"] * 10)))
    doubled = "\n".join(["a0 = 'x'", *(f"a{n + 1} = a{n} + a{n}" for n in range(60)), "a60"])
    assert texts(doubled) == {"*"}
