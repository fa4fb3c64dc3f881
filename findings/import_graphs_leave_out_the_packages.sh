#!/bin/sh
# ruff 0.17.6 and grimp 3.20, Python 3.11. Guessed: what a program imports by way of others, as an import graph has
# it, is what it runs when it starts. Seen: of `from shop.pricing.rates import rate` both have shop/pricing/rates.py
# alone, while Python runs shop/__init__.py and shop/pricing/__init__.py before it: a precision that is set there
# changes what the program prints, and by both nothing depends on that file. The standard library's modulefinder has
# both files. Known of ruff (its issue 13482, open) and of import-linter, which asks grimp (its issue 203, open);
# grimp's docstring promises what is imported "even indirectly". Whoever tests, or holds for live, what such a graph
# says that a change touches leaves that change out.
# Ours counts the packages above each module (tests/relevance/test_closure.py, RELATIVE, and held against Python
# itself in test_closure_against_python.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ruff==0.17.6 grimp==3.20
mkdir -p "$folder/tree/shop/pricing" "$folder/tree/worker"
cd "$folder/tree"
export PYTHONDONTWRITEBYTECODE=1 RUFF_NO_CACHE=true
touch worker/__init__.py shop/pricing/__init__.py
printf '%s\n' 'import decimal' 'decimal.getcontext().prec = 2' >shop/__init__.py
printf '%s\n' 'from decimal import Decimal' 'def rate():' '    return Decimal(1) / 3' >shop/pricing/rates.py
printf '%s\n' 'from shop.pricing.rates import rate' 'print(rate())' >worker/main.py
before=$(python3 -m worker.main)
sed -i 's/2/3/' shop/__init__.py
after=$(python3 -m worker.main)
echo "the program prints $before, and $after after a change of shop/__init__.py alone"
[ "$before $after" = "0.33 0.333" ]
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import json, subprocess, sys
from importlib.metadata import version
from modulefinder import ModuleFinder

import grimp


def ruff(*options):
    command = ["ruff", "analyze", "graph", "--isolated", *options]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


forward, back = ruff(), ruff("--direction", "dependents")
graph = grimp.build_graph("shop", "worker", cache_dir=None)
upstream, downstream = graph.find_upstream_modules("worker.main"), graph.find_downstream_modules("shop")
finder = ModuleFinder(["."])
finder.run_script("worker/main.py")
print("ruff", version("ruff"), "grimp", version("grimp"), "Python", sys.version.split()[0])
print("ruff: worker/main.py has", forward["worker/main.py"], "depend on shop/__init__.py:", back["shop/__init__.py"])
print("grimp: upstream of worker.main:", upstream, "downstream of shop:", downstream)
print("modulefinder:", sorted(set(finder.modules) & graph.modules))
assert forward["worker/main.py"] == ["shop/pricing/rates.py"] and forward["shop/pricing/rates.py"] == []
assert back["shop/__init__.py"] == [] == back["shop/pricing/__init__.py"]
assert upstream == {"shop.pricing.rates"} and downstream == set()
assert {"shop", "shop.pricing", "shop.pricing.rates"} <= set(finder.modules)
PYTHON
