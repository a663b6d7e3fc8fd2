#!/bin/sh
# The Debian package, installed under a running systemd: the hardened unit serves on port 443 as its own user, over a
# reload, a restart and an upgrade, and removing the package leaves the data. package.sh PROGRAM SYSTEM
# SYSTEM is a tar file of a Debian with systemd, which is made by debootstrap if it is not there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
program=${1:?PROGRAM is missing: package.sh PROGRAM SYSTEM} system=${2:?SYSTEM is missing: package.sh PROGRAM SYSTEM}
PATH=$PATH:/usr/sbin:/sbin
want systemd-nspawn systemd-container
want systemd-analyze systemd
want nsenter util-linux
want debootstrap debootstrap
[ "$(id -u)" -eq 0 ] || fail "systemd-nspawn needs root"
scratch
root=$work/root

made() {
    sh "$here/../package/build.sh" "$program" "$1" >"$work/build.log" 2>&1 || fail "build.sh: $(tail -n 3 "$work/build.log")"
}

# What is handed out: the same bytes each time, and whole.
files() {
    made "$work/out"
    made "$work/again"
    cmp "$work/out/SHA256SUMS" "$work/again/SHA256SUMS" >"$work/cmp.log" 2>&1 || fail "two packages of one program differ"
    (cd "$work/out" && sha256sum --quiet -c SHA256SUMS) || fail "the checksums are wrong"
    [ "$(wc -l <"$work/out/SHA256SUMS")" -eq $(($(find "$work/out" -type f | wc -l) - 1)) ] || fail "a file has no checksum"
    tar -C "$work" -xzf "$work"/out/gantry-*.tar.gz
    "$work"/gantry-*/gantry version | grep -q '^gantry ' || fail "the program in the tarball does not run"
    "$work"/gantry-*/gantry config check --config "$work"/gantry-*/gantry.toml --data "$work/data" >/dev/null \
        || fail "the settings in the tarball are refused"
    python3 - "$work"/out/gantry-*.cdx.json <<'END' || fail "see above"
import json, sys
parts = json.load(open(sys.argv[1]))["components"]
names = {(one["name"], one["purl"].split(":")[1].split("/")[0]) for one in parts if "purl" in one}
for want in [("rustls", "cargo"), ("sqlx", "cargo"), ("pingora", "cargo"), ("svelte", "npm")]:
    if want not in names:
        sys.exit(f"the SBOM does not name {want}")
for never in [("proptest", "cargo"), ("vite", "npm")]:
    if never in names:
        sys.exit(f"the SBOM names {never}, which is only a tool of builds and tests")
END
}

# The unit alone, as systemd judges it: at most 2.0 of 10.
judged() {
    systemd-analyze security --offline=true --threshold=20 "$here/../gantry.service" >"$work/security.log" \
        || fail "systemd-analyze security: $(tail -n 1 "$work/security.log")"
}

boot() {
    if [ ! -s "$system" ]; then
        debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,ca-certificates,curl \
            bookworm "$work/system" >"$work/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
        tar -C "$work/system" -cf "$system.part" .
        mv "$system.part" "$system"
        rm -rf "$work/system"
    fi
    mkdir "$root"
    tar -C "$root" -xpf "$system"
    cp "$work"/out/gantry_*.deb "$root/gantry.deb"
    systemd-nspawn --quiet --directory "$root" --boot --register=no --keep-unit --private-network --console=pipe \
        </dev/null >"$work/console.log" 2>&1 &
    nspawn=$!
    until_true 30 find_leader || fail "systemd does not start: $(tail -n 3 "$work/console.log")"
    started="$leader $nspawn $started"
    until_true 60 booted || fail "systemd does not come up: $(inside systemctl list-jobs 2>&1 | tail -n 3)"
}

# find_leader: the first process inside is the child of systemd-nspawn.
find_leader() {
    leader=$(cut -d ' ' -f 1 "/proc/$nspawn/task/$nspawn/children")
    [ -n "$leader" ]
}

booted() {
    inside systemctl is-system-running | grep -Eqx 'running|degraded'
}

inside() {
    nsenter --target "$leader" --all --root --wd=/ env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}

ready() {
    inside curl -fs --cacert /var/lib/gantry/certs/ca.crt https://localhost/readyz
}

log() {
    inside journalctl -u gantry --no-pager -o cat 2>&1 | tail -n "$1"
}

main_pid() {
    inside systemctl show -P MainPID gantry
}

installed() {
    inside dpkg -i /gantry.deb >"$work/dpkg.log" 2>&1 || fail "dpkg -i: $(tail -n 3 "$work/dpkg.log")"
    grep -q 'systemctl enable --now gantry' "$work/dpkg.log" || fail "the package does not say what comes next"
    inside test -s /usr/share/man/man1/gantry-serve.1.gz || fail "the package has no man pages"
    inside bash -n /usr/share/bash-completion/completions/gantry || fail "bash cannot read its completion"
    ! inside systemctl is-active --quiet gantry || fail "the service starts before its settings are made"
    [ "$(stat -c '%a %g' "$root/etc/gantry/gantry.toml")" = "640 $(inside id -g gantry)" ] \
        || fail "the settings are not for gantry alone: $(stat -c '%a %U:%G' "$root/etc/gantry/gantry.toml")"
    # Of [server] alone: other sections have names too.
    sed -i -e '/^\[server\]$/,/^\[/{s|^#listen = .*|listen = "0.0.0.0:443"|;s|^#names = .*|names = ["localhost"]|}' \
        "$root/etc/gantry/gantry.toml"
    inside systemctl enable --now gantry >"$work/enable.log" 2>&1 || fail "systemctl enable: $(cat "$work/enable.log"; log 5)"
    until_true 60 ready || fail "the service is not ready: $(log 5)"
}

locked_up() {
    pid=$(main_pid)
    inside grep -q "^Uid:[[:space:]]*$(inside id -u gantry)[[:space:]]" "/proc/$pid/status" || fail "the service does not run as gantry"
    inside grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status" || fail "the service may gain privileges"
    # CAP_NET_BIND_SERVICE, bit 10, alone.
    inside grep -q '^CapBnd:[[:space:]]*0*400$' "/proc/$pid/status" || fail "the service has more capabilities: $(inside grep ^CapBnd "/proc/$pid/status")"
    inside grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status" || fail "system calls are not filtered"
    ! inside nsenter --target "$pid" --mount touch /usr/mark 2>/dev/null || fail "the service sees a writable /usr"
    [ "$(stat -c %a "$root/var/lib/gantry")" = 700 ] || fail "the data folder is open to others"
}

used() {
    password=$(log 100 | sed -n 's/.*user admin, password \([^ ]*\)$/\1/p' | head -n 1)
    [ -n "$password" ] || fail "the journal does not have the password of admin: $(log 5)"
    whoami "$password" || fail "the password of admin in the journal is refused"
    printf '%s\n' Packaged-12345 | inside runuser -u gantry -- \
        gantry user passwd admin --config /etc/gantry/gantry.toml --data /var/lib/gantry >"$work/passwd.log" 2>&1 \
        || fail "a command as gantry: $(tail -n 2 "$work/passwd.log")"
    until_true 10 whoami Packaged-12345 || fail "the server does not know the password that the command set"
    inside curl -fs http://127.0.0.1:9464/metrics | grep -q '^process_start_time_seconds' || fail "no metrics of the process"
}

whoami() {
    inside curl -fs --cacert /var/lib/gantry/certs/ca.crt -u "admin:$1" https://localhost/api/v2.0/users/current >/dev/null
}

# still_there: it serves, with the CA and the accounts of before.
still_there() {
    until_true 60 ready || fail "$1: the service is not ready: $(log 5)"
    whoami Packaged-12345 || fail "$1: the accounts are gone"
    cmp -s "$work/ca.crt" "$root/var/lib/gantry/certs/ca.crt" || fail "$1: there is another CA"
}

lived() {
    cp "$root/var/lib/gantry/certs/ca.crt" "$work/ca.crt"
    before=$(main_pid)
    inside systemctl reload gantry || fail "systemctl reload: $(log 3)"
    still_there reload
    [ "$(main_pid)" = "$before" ] || fail "a reload starts another process"
    inside systemctl restart gantry || fail "systemctl restart: $(log 3)"
    still_there restart
    before=$(main_pid)
    # As if dpkg had put a new version of the file in place.
    chgrp root "$root/etc/gantry/gantry.toml"
    inside dpkg -i /gantry.deb >"$work/dpkg.log" 2>&1 || fail "the upgrade: $(tail -n 3 "$work/dpkg.log")"
    still_there upgrade
    [ "$(main_pid)" != "$before" ] || fail "the upgrade leaves the old program running"
    grep -q '^listen = "0.0.0.0:443"' "$root/etc/gantry/gantry.toml" || fail "the upgrade overwrites the settings"
    inside sh -c "kill -KILL $(main_pid)"
    sleep 1
    still_there "after kill -9"
}

removed() {
    pid=$(main_pid)
    inside dpkg -P gantry >"$work/dpkg.log" 2>&1 || fail "dpkg -P: $(tail -n 3 "$work/dpkg.log")"
    [ "$pid" -gt 0 ] && ! inside test -e "/proc/$pid" || fail "the service runs without its package"
    [ ! -e "$root/etc/gantry/gantry.toml" ] || fail "the settings stay after dpkg -P"
    [ -s "$root/var/lib/gantry/gantry.db" ] || fail "the data go with the package"
}

judged
files
boot
installed
locked_up
used
lived
removed
echo "package: ok"
