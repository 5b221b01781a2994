#!/usr/bin/env bash
# Builds Debian 13's own haproxy source, with Debian's patches and those of haproxy-patches, into PREFIX.
#
#   toolchain/build-haproxy.sh PREFIX
#
# PREFIX appears only when it is complete. `haproxy -v` ends its version with `+gateway` and the number of our patches.
# One that does not apply any more ends the build: Debian may have it by now.
set -euo pipefail

SUITE=trixie
PACKAGE=haproxy
BUILD_DEPENDS=(build-essential dpkg-dev debian-archive-keyring libssl-dev libpcre2-dev zlib1g-dev)

prefix=${1:?usage: build-haproxy.sh PREFIX}
here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '   haproxy: %s\n' "$*" >&2; }

say "installing what the build needs"
"$here/apt-install.sh" "${BUILD_DEPENDS[@]}"

say "fetching Debian's source"
"$here/debian-source.sh" "$SUITE" "$PACKAGE" "$work/source"

logged() { "$@" >>"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 1; }; }

cd "$work/source"
patches=("$here"/haproxy-patches/*.patch)
for patch in "${patches[@]}"; do
    say "applying $(basename "$patch")"
    logged patch -p1 --forward --fuzz=0 <"$patch"
done
say "compiling (about a minute on two cores)"
logged make -j"$(nproc)" TARGET=linux-glibc USE_OPENSSL=1 USE_PCRE2=1 USE_PROMEX=1 EXTRAVERSION="+gateway${#patches[@]}"

mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix.new" "$prefix"
mkdir -p "$prefix.new/sbin"
cp haproxy "$prefix.new/sbin/haproxy"
mv "$prefix.new" "$prefix"
say "$("$prefix/sbin/haproxy" -v | head -n 1)"
