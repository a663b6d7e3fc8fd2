#!/bin/sh
# Alerts and dashboard: promtool's tests, then a real Prometheus that scrapes a real server under a little traffic:
# watch.sh PROGRAM
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
program=${1:?PROGRAM is missing: watch.sh PROGRAM}
want promtool prometheus
want prometheus prometheus
want curl curl
want python3 python3
scratch
rules=$here/../prometheus

promtool check rules "$rules/rules.yml" >"$work/check.log" 2>&1 || fail "promtool check rules: $(cat "$work/check.log")"
(cd "$rules" && promtool test rules rules_test.yml) >"$work/test.log" 2>&1 || fail "promtool test rules: $(cat "$work/test.log")"

port=$(free_port) metrics=$(free_port) prometheus=$(free_port)
GANTRY_ADMIN_PASSWORD=Watched-12345 "$program" serve --data "$work/data" --listen "127.0.0.1:$port" \
    --metrics-listen "127.0.0.1:$metrics" >"$work/gantry.log" 2>&1 &
started="$! $started"
until_true 60 curl -fs "http://127.0.0.1:$metrics/readyz" || fail "the server is not ready: $(tail -n 3 "$work/gantry.log")"

cat >"$work/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$rules/rules.yml]
scrape_configs:
  - job_name: gantry
    static_configs: [{targets: ["127.0.0.1:$metrics"]}]
END
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
    --web.listen-address="127.0.0.1:$prometheus" >"$work/prometheus.log" 2>&1 &
started="$! $started"
until_true 30 curl -fs "http://127.0.0.1:$prometheus/-/ready" || fail "Prometheus is not ready: $(tail -n 3 "$work/prometheus.log")"

# A push and pulls, by hand: a blob, a manifest that names it, and the manifest again and again.
registry=https://127.0.0.1:$port
ask() {
    curl -fsk -H "Authorization: Bearer $token" "$@"
}
token=$(curl -fsk -u admin:Watched-12345 "$registry/service/token?service=harbor-registry&scope=repository:library/seen:pull,push" \
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
printf '{}' >"$work/blob"
digest=sha256:$(sha256sum "$work/blob" | cut -d ' ' -f 1)
ask --data-binary @"$work/blob" -H 'Content-Type: application/octet-stream' \
    "$registry/v2/library/seen/blobs/uploads/?digest=$digest" || fail "the blob is refused"
type=application/vnd.oci.image.manifest.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2},"layers":[]}' \
    "$type" "$digest" >"$work/manifest"
pull() {
    ask -H "Accept: $type" "$registry/v2/library/seen/manifests/v1" >/dev/null
}
ask -X PUT --data-binary @"$work/manifest" -H "Content-Type: $type" "$registry/v2/library/seen/manifests/v1" \
    || fail "the manifest is refused"
for _ in 1 2 3 4 5 6 7 8; do
    pull
    sleep 1
done
python3 "$here/watch.py" --metrics "http://127.0.0.1:$metrics/metrics" --prometheus "http://127.0.0.1:$prometheus" \
    || fail "see above"
echo "watch: ok"
