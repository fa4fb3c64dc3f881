"""What may be the name of a ref, before git sees it."""

from __future__ import annotations

import re

#: What git takes as the name of a ref, and nothing that it would take for an option or an expression.
REF_NAME = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![/.])")
