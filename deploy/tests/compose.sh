#!/bin/sh
# Both compose files from nothing to a push and a pull, over restarts, and without a failed pull while replicas are
# replaced one by one: compose.sh PROGRAM WEED
# Images of other programs cannot be fetched everywhere, so those of haproxy, PostgreSQL and SeaweedFS are stood in for
# by this machine's own programs; everything else in the files is used as it is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
program=${1:?PROGRAM is missing: compose.sh PROGRAM WEED} weed=${2:?WEED is missing: compose.sh PROGRAM WEED}
want docker-compose docker-compose
want curl curl
want haproxy haproxy
want python3 python3
[ -x /usr/lib/postgresql/15/bin/postgres ] || fail "PostgreSQL is missing: apt-get install -y --no-install-recommends postgresql-15"
scratch
start_dockerd
sh "$here/../container/build.sh" "$program" gantry:latest >/dev/null
cp "$here"/../compose/* "$work"
cd "$work"
GANTRY_PORT=$(free_port) GANTRY_METRICS_PORT=$(free_port) GANTRY_HOST=localhost
export GANTRY_PORT GANTRY_METRICS_PORT GANTRY_HOST
registry=localhost:$GANTRY_PORT

up() {
    docker-compose "$@" up -d >"$work/up.log" 2>&1 || fail "docker-compose up: $(tail -n 5 "$work/up.log")"
}

logs() {
    docker-compose "$@" logs --tail 5 --no-color 2>&1 | cut -c 1-300
}

answers() {
    curl -fsk "https://$registry/readyz"
}

# An image to push, of one random layer.
head -c 3000000 /dev/urandom >layer
tar cf layer.tar layer
docker import layer.tar "$registry/library/image:v1" >/dev/null
pushed=$(docker image inspect -f '{{.Id}}' "$registry/library/image:v1")

push() {
    printf '%s' "$1" | docker login -u admin --password-stdin "$registry" >login.log 2>&1 \
        || fail "login is refused: $(tail -n 3 login.log)"
    docker push "$registry/library/image:v1" >push.log 2>&1 || fail "push: $(tail -n 3 push.log)"
}

# pull: gets the image again, and nothing but it.
pull() {
    docker image rm "$registry/library/image:v1" >/dev/null
    docker pull "$registry/library/image:v1" >pull.log 2>&1 || fail "pull: $(tail -n 3 pull.log)"
    [ "$(docker image inspect -f '{{.Id}}' "$registry/library/image:v1")" = "$pushed" ] || fail "another image came back"
}

single() {
    up
    until_true 60 answers || fail "the single node is not ready: $(logs)"
    docker-compose exec -T gantry gantry cert ca >ca.crt
    curl -fs --cacert ca.crt "https://$registry/readyz" >/dev/null || fail "the certificate is not for $GANTRY_HOST"
    curl -fs "http://127.0.0.1:$GANTRY_METRICS_PORT/metrics" | grep -q '^gantry_database_up 1' || fail "no metrics"
    password=$(docker-compose logs --no-color | sed -n 's/.*user admin, password \([^ ]*\)$/\1/p' | head -n 1)
    [ -n "$password" ] || fail "the start does not print the password of admin: $(logs)"
    push "$password"
    docker-compose down >/dev/null 2>&1
    up
    until_true 60 answers || fail "the single node is not ready again: $(logs)"
    pull
    docker-compose down -v >/dev/null 2>&1
}

# stand_in: the image `machine` and the file machine.yml, which uses it for every program but Gantry.
stand_in() {
    mkdir -p root/etc root/tmp root/usr root/opt root/run root/data root/var/lib/postgresql/data root/usr/local/etc/haproxy
    ln -s usr/bin root/bin
    ln -s usr/sbin root/sbin
    ln -s usr/lib root/lib
    ln -s usr/lib64 root/lib64
    chmod 1777 root/tmp
    cp /etc/passwd /etc/group /etc/nsswitch.conf root/etc/
    cp "$weed" root/opt/weed
    cat >root/opt/postgres.sh <<'END'
set -eu
chown postgres /var/lib/postgresql/data
cd /
as="setpriv --reuid postgres --regid postgres --clear-groups"
bin=/usr/lib/postgresql/15/bin
if [ ! -s /var/lib/postgresql/data/PG_VERSION ]; then
    echo "$POSTGRES_PASSWORD" >/tmp/password
    $as $bin/initdb -D /var/lib/postgresql/data -U "$POSTGRES_USER" -A scram-sha-256 --pwfile /tmp/password --no-sync
    echo "host all all all scram-sha-256" >>/var/lib/postgresql/data/pg_hba.conf
    echo "create database \"$POSTGRES_DB\";" | $as $bin/postgres --single -D /var/lib/postgresql/data postgres
fi
exec $as $bin/postgres -D /var/lib/postgresql/data -c listen_addresses='*' -c unix_socket_directories=/tmp
END
    tar -C root -c . | docker import --change 'ENV PATH=/opt:/usr/bin:/usr/sbin' - machine >/dev/null
    cat >machine.yml <<'END'
services:
  balancer:
    image: machine
    user: haproxy
    command: [haproxy, -f, /haproxy.cfg]
    volumes: [/usr:/usr:ro, ./haproxy.cfg:/haproxy.cfg:ro]
  postgres:
    image: machine
    command: [sh, /opt/postgres.sh]
    volumes: [/usr:/usr:ro, /usr/share/zoneinfo/UTC:/etc/localtime:ro]
  seaweedfs:
    image: machine
    volumes: [/usr:/usr:ro]
  bucket:
    image: machine
    volumes: [/usr:/usr:ro]
END
    # Nothing may be mounted below the machine's /usr, which is read-only.
    sed -i '/haproxy.cfg:\/usr\/local/d' ha.yml
    sed -i '/^    volumes:$/{N;/networks/s/^    volumes:\n//}' ha.yml
}

ha() {
    export POSTGRES_PASSWORD=Postgres12345 S3_SECRET_KEY=Bucket12345 GANTRY_ADMIN_PASSWORD=Replica-12345
    stand_in
    files="-f ha.yml -f machine.yml"
    docker-compose $files run --rm master-key >key.log 2>&1 || fail "master-key: $(tail -n 3 key.log)"
    up $files
    # Before its first look, haproxy takes a replica that is still starting for one that serves.
    until_true 120 both || fail "the replicas are not ready: $(logs $files)"
    push "$GANTRY_ADMIN_PASSWORD"
    # One replica after the other is replaced, as in an upgrade: whoever pulls meanwhile does not notice.
    pull_on &
    puller=$!
    started="$puller $started"
    for replica in gantry-1 gantry-2; do
        docker-compose $files stop -t 60 $replica >/dev/null 2>&1
        pull
        docker-compose $files start $replica >/dev/null 2>&1
        until_true 60 both || fail "$replica does not come back: $(logs $files)"
    done
    kill "$puller"
    [ "$(grep -c . pulled)" -gt 100 ] || fail "only $(grep -c . pulled) pulls were made meanwhile"
    ! grep -v '^200$' pulled >failed || fail "$(grep -c . failed) of $(grep -c . pulled) pulls failed: $(sort failed | uniq -c)"
    docker-compose $files logs --no-color gantry-1 gantry-2 | grep -q ' 10\.231\.7\.1 .*PUT /v2/' \
        || fail "the access log does not have the client's address: $(docker-compose $files logs --no-color gantry-1 | grep PUT | head -n 2)"
    ! docker-compose $files logs --no-color gantry-1 gantry-2 | grep -q '198\.51\.100\.7' \
        || fail "clients choose the address that is recorded of them"
    # All at once, as after a restart of the machine: no order is needed.
    docker-compose $files restart -t 5 >/dev/null 2>&1
    until_true 120 answers || fail "after a restart of all, nothing answers: $(logs $files)"
    pull
    docker-compose $files down -v -t 5 >/dev/null 2>&1
}

# pull_on: gets the manifest over a new connection each time, without a second try, and notes the statuses.
pull_on() {
    token=$(curl -fsk "https://$registry/service/token?service=harbor-registry&scope=repository:library/image:pull" \
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
    while :; do
        curl -sk -m 30 -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $token" \
            -H 'X-Forwarded-For: 198.51.100.7' \
            -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
            "https://$registry/v2/library/image/manifests/v1" >>pulled || true
        sleep 0.05
    done
}

# both: the balancer has both replicas, so several connections in a row reach both.
both() {
    for replica in gantry-1 gantry-2; do
        address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' \
            "$(docker-compose $files ps -q $replica)")
        curl -fs "http://$address:9464/readyz" >/dev/null || return 1
    done
    sleep 5
}

single
ha
echo "compose: ok"
