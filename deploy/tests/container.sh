#!/bin/sh
# The container image serves as its own user and as any other, with a read-only root and no capability, keeps its data
# in the volume, and ends at once when it is told to: container.sh PROGRAM
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
program=${1:?PROGRAM is missing: container.sh PROGRAM}
want curl curl
want python3 python3
scratch
port=$(free_port) metrics=$(free_port)
start_dockerd

sh "$here/../container/build.sh" "$program" gantry:test >/dev/null
docker image inspect -f '{{.Config.User}}' gantry:test | grep -Eqx '[0-9]+:0' || fail "USER is not a number with group 0"

# serve NAME OPTIONS…: a container on the machine's own network, as locked up as it can be.
serve() {
    name=$1
    shift
    docker run -d --name "$name" --network host --read-only --cap-drop ALL --security-opt no-new-privileges \
        -e GANTRY_SERVER__LISTEN="127.0.0.1:$port" -e GANTRY_SERVER__METRICS_LISTEN="127.0.0.1:$metrics" \
        -e GANTRY_ADMIN_PASSWORD=Container-12345 "$@" gantry:test >/dev/null
    until_true 60 ready "$name" || fail "$name is not ready: $(docker logs "$name" 2>&1 | tail -n 5)"
}

# ready NAME: it runs and answers; another program on the port does not count.
ready() {
    [ "$(docker inspect -f '{{.State.Running}}' "$1")" = true ] && curl -fs "http://127.0.0.1:$metrics/readyz"
}

# end NAME: stops it, which must be a clean end.
end() {
    docker stop -t 30 "$1" >/dev/null
    code=$(docker inspect -f '{{.State.ExitCode}}' "$1")
    [ "$code" -eq 0 ] || fail "$1 ended with $code: $(docker logs "$1" 2>&1 | tail -n 5)"
    docker rm "$1" >/dev/null
}

ca() {
    docker exec "$1" gantry cert ca
}

docker volume create own >/dev/null
serve first -v own:/var/lib/gantry
ca first >"$work/before.pem"
printf '%s\n' Changed-12345 | docker exec -i first gantry user passwd admin >/dev/null
end first

serve second -v own:/var/lib/gantry
ca second >"$work/after.pem"
cmp -s "$work/before.pem" "$work/after.pem" || fail "the second container has another CA: the volume was not used"
curl -fs --cacert "$work/after.pem" -u admin:Changed-12345 "https://127.0.0.1:$port/api/v2.0/users/current" >/dev/null \
    || fail "the second container does not know the password that the first one was given"
end second

# A user that only the cluster knows, as OpenShift gives, on a volume whose group may write.
install -d -m 0770 -g 0 "$work/other"
chown 0:0 "$work/other"
serve any --user 1000710000:0 -v "$work/other:/var/lib/gantry"
ca any >/dev/null
end any
echo "container: ok"
