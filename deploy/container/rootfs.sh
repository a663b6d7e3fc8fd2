#!/bin/sh
# Lays out the files of the container image in an empty folder: rootfs.sh PROGRAM FOLDER, as root.
# The libraries and CA certificates are those of the machine that it runs on, which must be the one that built PROGRAM.
set -eu
program=$1 root=$2
certificates=/etc/ssl/certs/ca-certificates.crt
[ -s "$certificates" ] || { echo "rootfs.sh: $certificates is missing: install ca-certificates" >&2; exit 1; }

install -d "$root/etc/ssl/certs" "$root/usr/local/bin"
install -m 0755 "$program" "$root/usr/local/bin/gantry"

# ldd prints "NAME => PATH (ADDRESS)", and the loader as "PATH (ADDRESS)".
libraries=$(ldd "$program" | sed -n 's/^.*[[:space:]]\(\/[^ ]*\) (0x.*$/\1/p')
[ -n "$libraries" ] || { echo "rootfs.sh: ldd finds no libraries of $program" >&2; exit 1; }
for library in $libraries; do
    install -D -m 0755 "$library" "$root$library"
done

install -m 0644 "$certificates" "$root$certificates"
echo 'gantry:x:10001:0:Gantry:/var/lib/gantry:/usr/local/bin/gantry' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"

# A volume takes over owner and mode of the folder that it is mounted on. Group 0 may write: a cluster that chooses
# the user by itself leaves that group.
install -d -m 0770 -o 10001 -g 0 "$root/var" "$root/var/lib/gantry"
chmod 0755 "$root/var" "$root/var/lib"
chown 0:0 "$root/var"
