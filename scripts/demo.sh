#!/usr/bin/env bash
# A refusal and the emergency bypass, in a repository that is thrown away afterwards.
#
# The worker is deployed, then four commits to it follow that nobody deploys. `make demo` runs this.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Nothing of the caller's may decide what is shown: no settings of git's, none of the gate's.
while IFS= read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(GIT|DRIFT)_' || true)
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

bold=() # control sequences only where somebody looks at a terminal
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=($'\e[1m' $'\e[0m'); fi
say() { printf '\n%s== %s%s\n' "${bold[0]:-}" "$*" "${bold[1]:-}"; }

# Print the command as one would type it, and run it.
show() {
    printf '$'
    for word in "$@"; do
        case $word in
        *" "*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$@"
}

# commit SUBJECT HOURS_AGO: one line of code more in the worker, landed that long ago.
commit() {
    echo "RULES += [\"$1\"]" >>predictions/worker/serve.py
    git add --all
    when="@$(($(date +%s) - $2 * 3600)) +0000"
    GIT_AUTHOR_DATE=$when GIT_COMMITTER_DATE=$when git commit --quiet --message "$1"
}

mkdir -p "$place/predictions/worker"
cd "$place"
git init --quiet --initial-branch=main
# Not in git's configuration: the gate names whoever asks for the bypass by this at once.
export GIT_AUTHOR_NAME="Demo Developer" GIT_AUTHOR_EMAIL="demo@example.com"
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
cp "$here/drift.toml" .
sed '/^COPY \(drift_gate\|requirements\)/d' "$here/predictions/worker/Dockerfile" >predictions/worker/Dockerfile # nothing else is here
echo "RULES = []" >predictions/worker/serve.py
printf '.drift/\n' >.gitignore

say "The worker is deployed"
commit "Predict by a moving average" 30
show deployment-drift record prediction-worker --commit "$(git rev-parse HEAD)"

say "Four commits to the worker follow; nobody deploys them"
commit "Weigh the last game double" 9
commit "Leave out games of less than five minutes" 7
commit "Read the injury report" 4
commit "Fix the average of a player's first game" 1
show git --no-pager log --oneline

say "The batch is refused"
code=0
show prediction-coordinator start --game-date 2026-02-05 || code=$?
echo "exit code: $code"
[ "$code" = 1 ] || exit 1

say "An emergency: the same start with the bypass"
show prediction-coordinator start --game-date 2026-02-05 --skip-drift-check --reason "tip-off in ten minutes"
