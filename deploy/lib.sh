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
        *) fail "what is $1? usage: ${0##*/} [--dry-run] [--commit REV]${MORE_USAGE:-}" ;;
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

# The commit that is to be deployed, of COMMIT_ARGUMENT.
commit() {
    git -C "$ROOT" rev-parse --verify --quiet --end-of-options "$COMMIT_ARGUMENT^{commit}" ||
        fail "$COMMIT_ARGUMENT is no commit here"
}

# COMMIT PATTERN WHAT: whether drift.toml at COMMIT has such a line; else it is said that it lacks WHAT.
declared() {
    git -C "$ROOT" show "$1:drift.toml" | grep -Eq "$2" ||
        fail "drift.toml at ${1:0:12} names no $3: see docs/operating.md"
}

# The name that Cloud Monitoring gave to what we call so. Names of ours are no keys there: without the
# question each run would make one more.
named() {
    [ -z "$DRY_RUN" ] || return 0
    cloud "$@" --limit=1 '--format=value(name)'
}

# Have each alert of these names in Cloud Monitoring, by a mail to ALERT_EMAIL.
alerts() {
    local channel policy file
    channel=$(named beta monitoring channels list "--filter=displayName=\"drift gate: $ALERT_EMAIL\"")
    if [ -z "$channel" ]; then
        cloud beta monitoring channels create "--display-name=drift gate: $ALERT_EMAIL" --type=email \
            "--channel-labels=email_address=$ALERT_EMAIL"
        channel=$(named beta monitoring channels list "--filter=displayName=\"drift gate: $ALERT_EMAIL\"")
    fi
    [ -z "$DRY_RUN" ] || channel=CHANNEL
    for file in "$@"; do
        made "alerts/$file.yaml"
        policy=$(named alpha monitoring policies list "--filter=displayName=\"drift gate: $file\"")
        if [ -z "$policy" ]; then
            cloud alpha monitoring policies create "--policy-from-file=$MADE/alerts/$file.yaml" \
                "--notification-channels=$channel"
        else
            cloud alpha monitoring policies update "$policy" "--policy-from-file=$MADE/alerts/$file.yaml" \
                "--set-notification-channels=$channel"
        fi
    done
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
