# What the scripts in this folder share. Each is called with `set -eu` on, by a script that defines nothing of these names.

# Variables that begin with GANTRY_ are settings of the server; those of whoever calls this are none.
for variable in $(env | sed -n 's/^\(GANTRY_[A-Z0-9_]*\)=.*/\1/p'); do
    unset "$variable"
done

# fail WORDS: says what is wrong and ends the script with 1.
fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# want PROGRAM PACKAGE: fails with the line that installs PROGRAM.
want() {
    command -v "$1" >/dev/null || fail "$1 is missing: apt-get install -y --no-install-recommends $2"
}

# until_true SECONDS COMMAND…: repeats COMMAND every 200 ms until it succeeds; 1 after SECONDS.
until_true() {
    tries=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.2
    done
}

# scratch: makes the folder $work, and at the end ends the processes in $started and removes the folder.
scratch() {
    started=
    work=$(mktemp -d "${TMPDIR:-/tmp}/gantry-deploy.XXXXXX")
    trap 'finish $?' EXIT
    trap 'exit 130' INT TERM
}

finish() {
    trap - EXIT
    if [ -n "${docker_started:-}" ]; then
        docker ps -aq | xargs -r docker rm -f >/dev/null
        docker network prune -f >/dev/null
    fi
    for pid in $started; do
        kill "$pid" 2>/dev/null || continue
        until_true 20 process_gone "$pid" || kill -KILL "$pid"
    done
    [ "$1" -eq 0 ] || [ -z "${KEEP:-}" ] || { echo "kept: $work" >&2; exit "$1"; }
    [ ! -e "$work/exec/netns/default" ] || umount "$work/exec/netns/default" || true
    rm -rf "$work"
    exit "$1"
}

process_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# start_dockerd: a docker daemon of our own in $work, for docker and docker-compose. Needs root.
start_dockerd() {
    PATH=/usr/bin:/usr/sbin:/sbin:$PATH
    want dockerd docker.io
    [ "$(id -u)" -eq 0 ] || fail "docker needs root"
    export DOCKER_HOST="unix://$work/docker.sock" DOCKER_CONFIG="$work/docker-config"
    mkdir -p "$DOCKER_CONFIG"
    dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" \
        --iptables=false --ip6tables=false --bridge=none >"$work/dockerd.log" 2>&1 &
    started="$! $started"
    docker_started=yes
    until_true 60 docker info || fail "dockerd does not start: $(tail -n 3 "$work/dockerd.log")"
}

# free_port: prints a port of 127.0.0.1 that nobody listens on, so that no other program answers in our server's place.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
