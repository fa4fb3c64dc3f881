"""How many seconds a test gives: one of three lengths, by what they are for, and never what it took."""

from __future__ import annotations

#: Something has to succeed within it, on a machine of any speed. Only a test that fails takes so long.
ENOUGH_S = 60.0
#: It is waited for until it is over, and nothing has to happen within it: the other side hangs until the test
#: lets go of it, so that whoever comes back has not waited for it.
OVER_S = 0.3
#: The same, where a message on this machine comes first.
SHARE_S = 2.0
