#!/usr/bin/env bash
# Step 5: who is told, the count of verdicts, and the alerts: denied, bypassed, failed, stalled, silent, not called.
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

METRIC=drift_verdicts
FILTER="resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"$COORDINATOR\""
FILTER+=' AND jsonPayload.event="drift_verdict"'
ensure logging metrics describe "$METRIC" -- \
    logging metrics create "$METRIC" --description='Verdicts of the drift gate' "--log-filter=$FILTER"

# The name that Cloud Monitoring gave to what we call so. Names of ours are no keys there: without the
# question each run would make one more.
named() {
    [ -z "$DRY_RUN" ] || return 0
    cloud "$@" --limit=1 '--format=value(name)'
}

channel=$(named beta monitoring channels list "--filter=displayName=\"drift gate: $ALERT_EMAIL\"")
if [ -z "$channel" ]; then
    cloud beta monitoring channels create "--display-name=drift gate: $ALERT_EMAIL" --type=email \
        "--channel-labels=email_address=$ALERT_EMAIL"
    channel=$(named beta monitoring channels list "--filter=displayName=\"drift gate: $ALERT_EMAIL\"")
fi
[ -z "$DRY_RUN" ] || channel=CHANNEL

for file in denied bypassed failed stalled silent not-called; do
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
