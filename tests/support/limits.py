"""What a test gives: seconds by what they are for, never what it took, and examples by what they cost."""

from __future__ import annotations

from hypothesis import settings

#: Something has to succeed within it, on a machine of any speed. Only a test that fails takes so long.
ENOUGH_S = 60.0
#: It is waited for until it is over, and nothing has to happen within it: the other side hangs until the test
#: lets go of it, so that whoever comes back has not waited for it.
OVER_S = 0.3
#: The same, where a message on this machine comes first.
SHARE_S = 2.0

#: Examples of hypothesis where each makes a repository: a third of what the profile says, which is 4 in
#: `make test` and 33 in `make test-heavy`.
DEAR = settings().max_examples // 3
