#!/bin/sh
# functions-framework 3.10.2 with gunicorn 27.0.1. Guessed: as by gunicorn's own default, each worker imports the function's
# module, so that what the module opens belongs to the process that answers. Seen: the module is imported once, by the
# arbiter, before it forks: a client, a lock or a thread made at import is made in a process that answers nobody.
set -eu
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check functions-framework==3.10.2 gunicorn==27.0.1
cat > "$folder/main.py" <<'PYTHON'
import os

import functions_framework

IMPORTED_BY = os.getpid()


@functions_framework.http
def which(request):
    return f"{IMPORTED_BY} {os.getpid()} {os.getppid()}"
PYTHON
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/functions-framework" --source "$folder/main.py" --target which --host 127.0.0.1 --port "$port" &
server=$!
"$folder/venv/bin/python" - "$port" <<'PYTHON'
import sys, time, urllib.error, urllib.request
from importlib.metadata import version

for _ in range(300):
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/").read().decode()
        break
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.1)
imported_by, answered_by, parent = answer.split()
print("functions-framework", version("functions-framework"), "gunicorn", version("gunicorn"))
print("the module was imported by", "the parent" if imported_by == parent else "another", "of the process that answers")
assert imported_by == parent != answered_by
PYTHON
