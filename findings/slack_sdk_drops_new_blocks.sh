#!/bin/sh
# slack-sdk 3.48.0. Guessed: a block whose type the SDK has no model for stays as it is, or is an error. Seen:
# Block.parse_all, which is declared as a list of blocks, puts None in its place, with a warning in the log alone, so that
# a message that is held against the models loses what Slack itself would show: here the `data_table` of May 2026.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check slack-sdk==3.48.0
"$folder/venv/bin/python" - <<'PYTHON'
import logging
from importlib.metadata import version

from slack_sdk.models.blocks import Block

told = []
handler = logging.Handler()
handler.emit = lambda record: told.append(record.getMessage())
logging.getLogger().addHandler(handler)
text = {"type": "section", "text": {"type": "plain_text", "text": "Two services were looked at."}}
rows = [[{"type": "raw_text", "text": "worker"}, {"type": "raw_text", "text": "current"}]]
parsed = Block.parse_all([text, {"type": "data_table", "caption": "Looks", "rows": rows}])
print("slack-sdk", version("slack-sdk"))
print("given 2 blocks, parsed:", [block and block.type for block in parsed])
print("one alone:", Block.parse({"type": "data_table", "caption": "Looks", "rows": rows}), "- told:", told[:1])
assert Block.parse({"type": "data_table", "rows": rows}) is None and told
assert parsed[0].type == "section" and parsed[1] is None
PYTHON
