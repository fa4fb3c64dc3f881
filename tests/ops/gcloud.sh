#!/usr/bin/env bash
# Stands in for gcloud: remembers what was made, says what is there, and keeps each call.
# KEPT is its folder: `calls`, `there/NAME` with a state each, `variables/SERVICE/NAME`, and what was handed in.
set -euo pipefail

printf '%s\037' "$@" >>"$KEPT/calls"
printf '\n' >>"$KEPT/calls"

words=() display='' filter='' format='' database='' file='' substitutions='' source='' updated='' removed=''
for argument in "$@"; do
    value=${argument#*=}
    case $argument in
        --display-name=*) display=$value ;;
        --filter=*) filter=$value ;;
        --format=*) format=$value ;;
        --database=*) database=$value ;;
        --policy-from-file=*) file=$value ;;
        --substitutions=*) substitutions=$value ;;
        --source=*) source=$value ;;
        --update-env-vars=*) updated=$value ;;
        --remove-env-vars=*) removed=$value ;;
        --*) ;;
        http) ;;
        *) words+=("$argument") ;;
    esac
done
last=${words[${#words[@]} - 1]}

failed() {
    printf 'ERROR: (gcloud) %s\n' "$*" >&2
    exit 1
}

# GROUP NAME as the file `at`; an account is called with its domain and without. No process for it: a test calls a
# hundred times.
place() {
    local name="$1 ${2%@*.iam.gserviceaccount.com}"
    at=$KEPT/there/${name//\//%}
}

# The words before the verb $1, as `group`.
before() {
    local word
    group=
    for word in "${words[@]}"; do
        [ "$word" != "$1" ] || break
        group+=${group:+ }$word
    done
}

moved() {
    place "scheduler jobs" "$last"
    [ "$(<"$at")" = "$1" ] || failed "FAILED_PRECONDITION: $last is $(<"$at")"
    printf %s "$2" >"$at"
}

case " ${words[*]} " in
    " functions deploy "*)
        cp -r "${source%/}" "$KEPT/function"
        for each in "functions $last" "run services $last" "eventarc triggers $last-1" \
            "pubsub subscriptions eventarc-$last-1"; do
            printf ENABLED >"$KEPT/there/$each"
        done
        ;;
    *" jobs run "*) [ ! -e "$KEPT/when-run" ] || bash "$KEPT/when-run" ;;
    *" tags delete "*) place 'artifacts docker images' "$last" && rm -f "$at" ;;
    *" policies delete "*) before delete && rm -f "$KEPT/there/$group "* ;;
    *" delete "*)
        before delete
        place "$group" "$last"
        [ -e "$at" ] || failed "NOT_FOUND: $last"
        rm -f "$at"
        ;;
    " auth print-identity-token ") printf '%s\n' "$STAND_IN_TOKEN" ;;
    " secrets versions add "*) cat >"$KEPT/secret" ;;
    *" describe "*)
        before describe
        place "$group" "${database:-$last}"
        [ -e "$at" ] || failed "NOT_FOUND: $last"
        case $format in
            *digest*) printf 'sha256:%s\n' "$(printf 'd1%.0s' {1..32})" ;;
            *eventTrigger*) printf '%s-1\n' "$last" ;;
            *subscription*) printf 'eventarc-%s\n' "$last" ;;
            *) printf '%s' "$(<"$at")" ;;
        esac
        ;;
    *" create "*)
        name=${database:-${display:-$last}}
        [ -z "$file" ] || name=$(sed -n 's/^displayName: "\(.*\)"$/\1/p' "$file")
        before create
        place "$group" "$name"
        [ ! -e "$at" ] || failed "ALREADY_EXISTS: $name"
        printf ENABLED >"$at"
        ;;
    *" list "*)
        name=${filter#displayName=\"}
        before list
        place "$group" "${name%\"}"
        [ ! -e "$at" ] || printf 'projects/p/%s/1\n' "${words[2]}"
        ;;
    *" submit "*)
        image=${substitutions#_IMAGE=}
        cp "$last" "$KEPT/"
        place 'artifacts docker images' "${image%%,*}"
        printf ENABLED >"$at"
        ;;
    *" replace "*) cp "$last" "$KEPT/" ;;
    *" pause "*) moved ENABLED PAUSED ;;
    *" resume "*) moved PAUSED ENABLED ;;
    *" services update "*)
        mkdir -p "$KEPT/variables/$last"
        for pair in ${updated//,/ }; do printf '%s' "${pair#*=}" >"$KEPT/variables/$last/${pair%%=*}"; done
        for name in ${removed//,/ }; do rm -f "$KEPT/variables/$last/$name"; done
        ;;
esac
