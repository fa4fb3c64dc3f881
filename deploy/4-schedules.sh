#!/usr/bin/env bash
# Step 4: the batch of each day, a look an hour before it, and a start past the check for the telephone.
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# NAME WHEN ACCOUNT TRIES BODY. A time that was changed in the settings is changed on the schedule, too.
schedule() {
    local name=$1 body=$5 headers=--headers verb=create
    if there scheduler jobs describe "$name" "--location=$REGION"; then
        verb=update headers=--update-headers
    fi
    cloud scheduler jobs "$verb" http "$name" "--location=$REGION" "--schedule=$2" "--time-zone=$TIME_ZONE" \
        "--uri=$URL/start" --http-method=POST "$headers=Content-Type=application/json" "--message-body=$body" \
        "--oidc-service-account-email=$(account "$3")" "--oidc-token-audience=$URL" --attempt-deadline=900s \
        "--max-retry-attempts=$4" --min-backoff=60s
}

# Asks all that a start asks, and starts nothing. No second try: what may heal is worth a look as well.
schedule preflight "$PREFLIGHT_AT" prediction-scheduler 0 '{"game_date": "TODAY", "dry_run": true}'
# Waits for a rollout that is under way. Tried again for what heals by itself; what runs already says 409.
schedule start "$START_AT" prediction-scheduler 2 '{"game_date": "TODAY", "wait": 600}'

# For the telephone. It is paused, and if somebody resumes it and forgets it, 29 February is far away.
schedule start-with-bypass '0 0 29 2 *' prediction-bypass 0 \
    '{"game_date": "TODAY", "skip_drift_check": true, "reason": "start-with-bypass was run by hand in Cloud Scheduler"}'
state=ENABLED
if [ -z "$DRY_RUN" ]; then
    state=$(cloud scheduler jobs describe start-with-bypass "--location=$REGION" '--format=value(state)')
fi
# Only one that is enabled can be paused.
[ "$state" != ENABLED ] || cloud scheduler jobs pause start-with-bypass "--location=$REGION"
