#!/usr/bin/env bash
# Step 5: who is told, the count of verdicts, and the alerts: denied, bypassed, failed, stalled, silent, not called.
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

METRIC=drift_verdicts
FILTER="resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"$COORDINATOR\""
FILTER+=' AND jsonPayload.event="drift_verdict"'
ensure logging metrics describe "$METRIC" -- \
    logging metrics create "$METRIC" --description='Verdicts of the drift gate' "--log-filter=$FILTER"

alerts denied bypassed failed stalled silent not-called
