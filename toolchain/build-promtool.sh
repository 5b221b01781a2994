#!/usr/bin/env bash
# Takes promtool out of Debian's package into PREFIX: to install the package would start a server.
#
#   toolchain/build-promtool.sh PREFIX
#
# PREFIX appears only when it is complete.
set -euo pipefail

prefix=${1:?usage: build-promtool.sh PREFIX}
mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix.new"
mkdir -p "$prefix.new"

cd "$prefix.new"
# The package lists of a fresh machine are empty or old.
apt-get download -qq prometheus >/dev/null 2>&1 || { apt-get update -qq >/dev/null; apt-get download -qq prometheus >/dev/null; }
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=2 ./usr/bin/promtool
rm -f prometheus_*.deb

rm -rf "$prefix"
mv "$prefix.new" "$prefix"
