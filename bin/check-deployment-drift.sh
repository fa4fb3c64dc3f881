#!/bin/sh
# Do the services run the code that their target says they should? Takes what `deployment-drift check` takes.
exec deployment-drift check "$@"
