#!/usr/bin/env bash
# Builds the Gateway API's conformance suite, and the server that its pods run, into PREFIX.
#
#   toolchain/build-conformance.sh PREFIX
#
# PREFIX appears only when it is complete.
set -euo pipefail

prefix=${1:?usage: build-conformance.sh PREFIX}
here=$(dirname "$(readlink -f "$0")")
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"

say() { printf '   conformance: %s\n' "$*" >&2; }

mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix.new"
mkdir -p "$prefix.new/bin"

cd "$here/../e2e/conformance/echo"
say "compiling its echo server"
go build -ldflags "-s -w" -o "$prefix.new/bin/echo-basic" sigs.k8s.io/gateway-api/conformance/echo-basic

cd ..
# The suite asks for a newer Go than may be here: the module proxy has it.
GOTOOLCHAIN=$(awk '$1 == "toolchain" { print $2 }' go.mod)
export GOTOOLCHAIN
say "compiling the suite with $GOTOOLCHAIN (about three minutes on two cores)"
go test -c -ldflags "-s -w" -o "$prefix.new/bin/conformance.test" .

rm -rf "$prefix"
mv "$prefix.new" "$prefix"
