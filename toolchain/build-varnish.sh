#!/usr/bin/env bash
# Builds Debian 13's own varnish source (its patches included) into PREFIX.
#
#   toolchain/build-varnish.sh PREFIX
#
# The version string is part of the VMOD ABI, so development, tests and images share this one recipe.
# PREFIX appears only when it is complete: an interrupted build leaves nothing that looks finished.
set -euo pipefail

SUITE=trixie
PACKAGE=varnish
BUILD_DEPENDS=(
    build-essential autoconf automake libtool pkg-config dpkg-dev debian-archive-keyring
    python3-docutils python3-sphinx libpcre2-dev libedit-dev libncurses-dev libjemalloc-dev libunwind-dev
)

prefix=${1:?usage: build-varnish.sh PREFIX}
here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '   varnish: %s\n' "$*" >&2; }

say "installing what the build needs"
"$here/apt-install.sh" "${BUILD_DEPENDS[@]}"

say "fetching Debian's source"
"$here/debian-source.sh" "$SUITE" "$PACKAGE" "$work/source"

logged() { "$@" >>"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 1; }; }

cd "$work/source"
say "configuring"
logged autoreconf -fi
logged ./configure --prefix="$prefix"
say "compiling (about a minute on two cores)"
logged make -j"$(nproc)"
logged make install DESTDIR="$work/stage"

mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix.new" "$prefix"
mv "$work/stage$prefix" "$prefix.new"
mv "$prefix.new" "$prefix"
say "$("$prefix/sbin/varnishd" -V 2>&1 | head -n 1)"
