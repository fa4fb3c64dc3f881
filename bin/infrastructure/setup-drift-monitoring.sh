#!/usr/bin/env bash
# The drift monitor on Google Cloud: account, topics, function, schedule and alert. What is there is kept, and the
# function deployed anew. --remove takes all of it away but the journal; --test looks once, and waits for the look.
set -euo pipefail

ACTION=setup
MORE_USAGE=' [--remove | --test]'
others=()
for word in "$@"; do
    case $word in
        --remove | --test) ACTION=${word#--} ;;
        *) others+=("$word") ;;
    esac
done
set -- "${others[@]}"
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib.sh"

MONITOR=deployment-drift-monitor
TOPIC=deployment-drift-check
DEAD=deployment-drift-dead-letters
SCHEDULE=deployment-drift-schedule
METRIC=drift_looks
# The clocks of Los Angeles; the alert's hours follow from them.
HOURS='0 8-20/2 * * *'
ZONE=America/Los_Angeles
# How often, and after how many seconds each, --test asks the journal: as long as a look may take, and a cold start.
ASKS=60
PAUSE=10
MEMBER=serviceAccount:$(account "$MONITOR")

# What the function finds in its environment, each with the secret that holds it.
SECRETS=("${GITHUB_SECRET:+GITHUB_TOKEN=$GITHUB_SECRET}")
read -ra others <<<"${MONITOR_SECRETS:-}"
SECRETS+=("${others[@]}")
[ -n "${SECRETS[0]}" ] || SECRETS=("${SECRETS[@]:1}")

# HOW VERB: what the monitor may: read services and images, ask the worker for its files, keep its looks, and read its
# secrets.
may() {
    local how=$1 verb=$2-iam-policy-binding pair
    "$how" "$MEMBER" roles/run.viewer projects "$verb" "$PROJECT" --condition=None
    "$how" "$MEMBER" roles/datastore.user projects "$verb" "$PROJECT" --condition=None
    "$how" "$MEMBER" roles/artifactregistry.reader artifacts repositories "$verb" "$REGISTRY" "--location=$REGION"
    "$how" "$MEMBER" roles/run.invoker run services "$verb" "$WORKER" "--region=$REGION"
    for pair in "${SECRETS[@]}"; do
        "$how" "$MEMBER" roles/secretmanager.secretAccessor secrets "$verb" "${pair#*=}"
    done
}

# As grant, for the other direction: what is bound no more is no failure.
revoke() {
    grant "$@" || printf '%s: %s was not bound\n' "${0##*/}" "$2" >&2
}

# What gcloud is asked for, `--`, and what removes it where it is there.
gone() {
    local question=()
    while [ "$1" != -- ]; do
        question+=("$1")
        shift
    done
    shift
    [ -z "$DRY_RUN" ] || question=()
    [ ${#question[@]} = 0 ] || there "${question[@]}" || return 0
    cloud "$@"
}

# What is uploaded: the function, its settings, and the library as folders, of one commit.
uploaded() {
    local at=$MADE/function
    [ -z "$DRY_RUN" ] || return 0
    rm -rf "$at"
    mkdir -p "$at"
    git -C "$ROOT" archive "$1:cloud_functions/deployment_drift_monitor" | tar -x -C "$at"
    git -C "$ROOT" archive "$1" drift.toml drift_gate shared predictions | tar -x -C "$at"
}

# The subscription that Eventarc made for the function.
subscription() {
    local trigger
    if [ -n "$DRY_RUN" ]; then
        printf SUBSCRIPTION
        return
    fi
    trigger=$(cloud functions describe "$MONITOR" "--region=$REGION" '--format=value(eventTrigger.trigger)')
    cloud eventarc triggers describe "$trigger" "--location=$REGION" \
        '--format=value(transport.pubsub.subscription)'
}

# One look at a time, in an instance that may have to make its mirror first. It is called by its own account, through
# Eventarc, and tried again where nothing could be kept. A variable that was set by hand ends here.
deployed() {
    local secrets=--clear-secrets pairs
    if [ ${#SECRETS[@]} -gt 0 ]; then
        pairs=$(printf ',%s:latest' "${SECRETS[@]}")
        secrets=--set-secrets=${pairs:1}
    fi
    cloud functions deploy "$MONITOR" --gen2 "--region=$REGION" --runtime=python312 "--source=$MADE/function" \
        --entry-point=deployment_drift_monitor "--trigger-topic=$TOPIC" --retry \
        "--service-account=$(account "$MONITOR")" "--trigger-service-account=$(account "$MONITOR")" \
        --memory=512Mi --cpu=1 --timeout=540s --concurrency=1 --min-instances=0 --max-instances=1 \
        --no-allow-unauthenticated --ingress-settings=internal-only "--update-labels=commit-sha=$1" \
        --clear-env-vars "$secrets"
    grant "$MEMBER" roles/run.invoker run services add-iam-policy-binding "$MONITOR" "--region=$REGION"
}

# A message that failed five times is kept for a week, where a person finds it.
dead_letters() {
    local name
    name=$(subscription)
    cloud pubsub subscriptions update "$name" --ack-deadline=600 --min-retry-delay=60s --max-retry-delay=600s \
        "--dead-letter-topic=$DEAD" --max-delivery-attempts=5
    grant "serviceAccount:$PUBSUB_AGENT" roles/pubsub.publisher pubsub topics add-iam-policy-binding "$DEAD"
    grant "serviceAccount:$PUBSUB_AGENT" roles/pubsub.subscriber \
        pubsub subscriptions add-iam-policy-binding "$name"
}

scheduled() {
    local verb=create
    ! there scheduler jobs describe "$SCHEDULE" "--location=$REGION" || verb=update
    cloud scheduler jobs "$verb" pubsub "$SCHEDULE" "--location=$REGION" "--schedule=$HOURS" "--time-zone=$ZONE" \
        "--topic=$TOPIC" --message-body=look --max-retry-attempts=3 --min-backoff=30s --max-backoff=300s
}

setup() {
    local commit topic filter
    commit=$(commit)
    declared "$commit" '^repository *= *"([a-z]+://|git@)' 'address (repository = "https://…")'
    declared "$commit" '^store *= *"firestore://' 'journal that lasts (store = "firestore://PROJECT")'
    cloud services enable cloudfunctions.googleapis.com run.googleapis.com eventarc.googleapis.com \
        pubsub.googleapis.com cloudscheduler.googleapis.com cloudbuild.googleapis.com firestore.googleapis.com \
        artifactregistry.googleapis.com secretmanager.googleapis.com logging.googleapis.com \
        monitoring.googleapis.com
    ensure iam service-accounts describe "$(account "$MONITOR")" -- iam service-accounts create "$MONITOR"
    may grant add
    for topic in "$TOPIC" "$DEAD"; do
        ensure pubsub topics describe "$topic" -- pubsub topics create "$topic"
    done
    ensure pubsub subscriptions describe "$DEAD" -- \
        pubsub subscriptions create "$DEAD" "--topic=$DEAD" --expiration-period=never \
        --message-retention-duration=7d
    uploaded "$commit"
    deployed "$commit"
    dead_letters
    scheduled
    filter="resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"$MONITOR\""
    filter+=' AND jsonPayload.message=~" UTC: looked at [0-9]"'
    ensure logging metrics describe "$METRIC" -- \
        logging metrics create "$METRIC" --description='Whole looks of the drift monitor' "--log-filter=$filter"
    alerts not-looked
}

# In the other direction: first what calls, in the end the account. What Eventarc made goes with the function.
remove() {
    local policy=POLICY
    [ -n "$DRY_RUN" ] || policy=$(named alpha monitoring policies list '--filter=displayName="drift gate: not-looked"')
    [ -z "$policy" ] || cloud alpha monitoring policies delete "$policy"
    gone logging metrics describe "$METRIC" -- logging metrics delete "$METRIC"
    gone scheduler jobs describe "$SCHEDULE" "--location=$REGION" -- \
        scheduler jobs delete "$SCHEDULE" "--location=$REGION"
    gone functions describe "$MONITOR" "--region=$REGION" -- functions delete "$MONITOR" "--region=$REGION"
    gone pubsub subscriptions describe "$DEAD" -- pubsub subscriptions delete "$DEAD"
    gone pubsub topics describe "$DEAD" -- pubsub topics delete "$DEAD"
    gone pubsub topics describe "$TOPIC" -- pubsub topics delete "$TOPIC"
    [ -z "$DRY_RUN" ] && ! there iam service-accounts describe "$(account "$MONITOR")" && return
    may revoke remove
    cloud iam service-accounts delete "$(account "$MONITOR")"
}

# Runs the schedule now, and waits until a look that began since stands in the journal.
test_() {
    local since asked
    since=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)
    cloud scheduler jobs run "$SCHEDULE" "--location=$REGION"
    [ -z "$DRY_RUN" ] || return 0
    for ((asked = 0; asked < ASKS; asked++)); do
        if (cd "$ROOT" && deployment-drift history --since 1h --format csv) |
            awk -F, -v since="$since" '$12 == "monitor" && $1 >= since { found = 1 } END { exit !found }'; then
            printf 'a look of the monitor stands in the journal\n'
            return
        fi
        sleep "$PAUSE"
    done
    fail "no look in the journal since $since; the log of the function $MONITOR says why, or that it was not called"
}

case $ACTION in
    setup) setup ;;
    remove) remove ;;
    test) test_ ;;
esac
