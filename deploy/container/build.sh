#!/bin/sh
# Makes the container image of a built program, without any base image: build.sh PROGRAM TAG, as root.
# What the image does is written once, in the last stage of the Dockerfile.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${1:?PROGRAM is missing: build.sh PROGRAM TAG} tag=${2:?TAG is missing: build.sh PROGRAM TAG}
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

sh "$here/rootfs.sh" "$program" "$context/rootfs"
tar -C "$context/rootfs" -cf "$context/rootfs.tar" .
rm -r "$context/rootfs"
sed -n '/^FROM scratch$/,$p' "$here/Dockerfile" | sed 's|^COPY --from=build /rootfs /$|ADD rootfs.tar /|' \
    > "$context/Dockerfile"
grep -q '^ADD rootfs.tar /$' "$context/Dockerfile" || { echo "build.sh: the Dockerfile has no such stage" >&2; exit 1; }
DOCKER_BUILDKIT=0 docker build -q -t "$tag" "$context"
