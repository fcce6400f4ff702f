#!/bin/sh
# Install Debian packages, those that are missing and nothing else:  tools/debian.sh PACKAGE...
# On a system without apt-get it names them and leaves them to who runs it.
set -eu

missing=
for package; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "not Debian: please see to what these packages bring:$missing" >&2
    exit 0
fi
as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing from Debian:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
