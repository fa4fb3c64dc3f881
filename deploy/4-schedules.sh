#!/usr/bin/env bash
# Step 4: the batch of each day, a look before it, one for stalled batches, and a start past the check by telephone.
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# NAME WHEN ACCOUNT TRIES PATH [BODY]: a body is posted, without one it is a look. A time that was changed in the
# settings is changed on the schedule, too.
schedule() {
    local name=$1 headers=--headers verb=create request=(--http-method=GET)
    if there scheduler jobs describe "$name" "--location=$REGION"; then
        verb=update headers=--update-headers
    fi
    if [ -n "${6:-}" ]; then
        request=(--http-method=POST "$headers=Content-Type=application/json" "--message-body=$6")
    fi
    cloud scheduler jobs "$verb" http "$name" "--location=$REGION" "--schedule=$2" "--time-zone=$TIME_ZONE" \
        "--uri=$URL$5" "${request[@]}" \
        "--oidc-service-account-email=$(account "$3")" "--oidc-token-audience=$URL" --attempt-deadline=900s \
        "--max-retry-attempts=$4" --min-backoff=60s
}

# Asks all that a start asks, and starts nothing. No second try: what may heal is worth a look as well.
schedule preflight "$PREFLIGHT_AT" prediction-scheduler 0 /start '{"game_date": "TODAY", "dry_run": true}'
# Waits for a rollout that is under way. Tried again for what heals by itself; what runs already says 409.
schedule start "$START_AT" prediction-scheduler 2 /start '{"game_date": "TODAY", "wait": 600}'

# A batch is stalled when somebody looks; each look at the batches does, and logs what it found.
schedule stalled '*/15 * * * *' prediction-scheduler 0 '/batches?limit=1'

# For the telephone. It is paused, and if somebody resumes it and forgets it, 29 February is far away.
schedule start-with-bypass '0 0 29 2 *' prediction-bypass 0 /start \
    '{"game_date": "TODAY", "skip_drift_check": true, "reason": "start-with-bypass was run by hand in Cloud Scheduler"}'
state=ENABLED
if [ -z "$DRY_RUN" ]; then
    state=$(cloud scheduler jobs describe start-with-bypass "--location=$REGION" '--format=value(state)')
fi
# Only one that is enabled can be paused.
[ "$state" != ENABLED ] || cloud scheduler jobs pause start-with-bypass "--location=$REGION"
