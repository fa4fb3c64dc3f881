# shellcheck shell=bash disable=SC2034 # whoever sources this uses the names, and the manifests do
# What the steps share: their arguments, the settings, and gcloud called or only shown. Sourced, never run.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
# What is made on the way: archives and filled-in manifests. Nothing in it is needed afterwards.
MADE=$HERE/.made
DRY_RUN=
COMMIT_ARGUMENT=HEAD

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) DRY_RUN=yes ;;
        --commit)
            [ $# -gt 1 ] || fail "--commit wants a commit"
            COMMIT_ARGUMENT=$2
            shift
            ;;
        *) fail "what is $1? usage: ${0##*/} [--dry-run] [--commit REV]" ;;
    esac
    shift
done

SETTINGS=${DEPLOY_SETTINGS:-$HERE/settings}
[ -f "$SETTINGS" ] || fail "$SETTINGS is not there: cp deploy/settings.example deploy/settings, and fill it in"
# shellcheck source=deploy/settings.example
. "$SETTINGS"
for name in PROJECT PROJECT_NUMBER REGION DATABASE_LOCATION COORDINATOR WORKER REGISTRY SLATE TIME_ZONE \
    START_AT PREFLIGHT_AT ONCALL ALERT_EMAIL URL WORKER_URL; do
    [ -n "${!name:-}" ] || fail "$SETTINGS does not set $name"
done

# The topics and the accounts, each for one thing.
REQUESTS=prediction-requests
COMPLETIONS=prediction-completions
DEAD_LETTERS=prediction-dead-letters
PUBSUB_AGENT=service-$PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com
IMAGES=$REGION-docker.pkg.dev/$PROJECT/$REGISTRY

account() { printf '%s@%s.iam.gserviceaccount.com' "$1" "$PROJECT"; }

# The words of a command as a shell would take them again.
shown() {
    local word
    for word in "$@"; do
        if [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]]; then
            printf '%s ' "$word"
        else
            printf "'%s' " "${word//\'/\'\\\'\'}"
        fi
    done
}

# gcloud in our project; with --dry-run its line.
cloud() {
    local line
    set -- gcloud "$@" "--project=$PROJECT" --quiet
    if [ -n "$DRY_RUN" ]; then
        line=$(shown "$@")
        printf '%s\n' "${line% }"
    else
        "$@"
    fi
}

# Whether gcloud finds what it is asked for. With --dry-run nobody is asked, and nothing is there.
there() {
    [ -z "$DRY_RUN" ] || return 1
    gcloud "$@" "--project=$PROJECT" --quiet >/dev/null 2>&1
}

# What gcloud is asked for, `--`, and what makes it where the question fails. Where it fails for another
# reason than that nothing is there, making it fails too, and says why.
ensure() {
    local question=()
    while [ "$1" != -- ]; do
        question+=("$1")
        shift
    done
    shift
    there "${question[@]}" || cloud "$@"
}

# MEMBER ROLE and the gcloud words of what the role is for. To add a binding again changes nothing.
grant() {
    local member=$1 role=$2
    shift 2
    cloud "$@" "--member=$member" "--role=$role" --format=none
}

# A file of this folder with its ${NAMES} filled in. A line that ends in `# if NAME` goes where NAME is empty.
filled() {
    local text name line
    text=
    while IFS= read -r line; do
        if [[ $line =~ ^(.*[^ ])\ +\#\ if\ ([A-Z_]+)$ ]]; then
            name=${BASH_REMATCH[2]}
            [ -n "${!name:-}" ] || continue
            line=${BASH_REMATCH[1]}
        fi
        while [[ $line =~ \$\{([A-Z_]+)\} ]]; do
            name=${BASH_REMATCH[1]}
            [ -n "${!name:-}" ] || fail "$1 names \${$name}, and nobody sets it"
            line=${line//"\${$name}"/${!name}}
        done
        text+=$line$'\n'
    done <"$HERE/$1"
    printf '%s' "$text"
}

# The same as a file that gcloud can take; with --dry-run it is only tried.
made() {
    local text
    text=$(filled "$1")
    [ -z "$DRY_RUN" ] || return 0
    mkdir -p "$(dirname "$MADE/$1")"
    printf '%s\n' "$text" >"$MADE/$1"
}
