#!/usr/bin/env bash
# Fetches a source package of a Debian suite into DIR, patched as Debian patches it.
#
#   debian-source.sh SUITE PACKAGE DIR
#
# The mirror is the one this machine already uses; its own apt configuration stays as it is.
set -euo pipefail

suite=${1:?usage: debian-source.sh SUITE PACKAGE DIR}
package=${2:?usage: debian-source.sh SUITE PACKAGE DIR}
target=${3:?usage: debian-source.sh SUITE PACKAGE DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2016 # apt-get fills the names in, not the shell
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
[ -n "$mirror" ] || { echo "no Debian mirror in this machine's apt configuration" >&2; exit 1; }

mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update >&2

cd "$work"
# A mirror may lag: of the newest revision it may have only some files. The .dsc is not needed to apply a quilt series,
# and where the revision's own tarball is missing, the one before it of the same upstream version is the next best.
"${apt[@]}" source --download-only "$package" >log 2>&1 || true
shopt -s nullglob
orig=(./*.orig.tar.?z)
debian=(./*.debian.tar.xz)
if [ ${#debian[@]} -eq 0 ]; then
    newest=$("${apt[@]}" source --print-uris "$package" 2>>log | grep -oE "http[^']*\.debian\.tar\.xz" | sed 's/%2b/+/')
    update=$(grep -oE 'deb[0-9]+u[0-9]+' <<<"$newest" | grep -oE '[0-9]+$' || true)
    for older in $(seq $((${update:-1} - 1)) -1 1); do
        uri=$(sed -E "s/(deb[0-9]+u)[0-9]+/\1$older/" <<<"$newest")
        if /usr/lib/apt/apt-helper -qq download-file "$uri" "$work/$(basename "$uri")" >>log 2>&1; then
            echo "note: the mirror lacks $(basename "$newest"); using $(basename "$uri")" >&2
            break
        fi
    done
    debian=(./*.debian.tar.xz)
fi
if [ ${#orig[@]} -ne 1 ] || [ ${#debian[@]} -ne 1 ]; then
    cat log >&2
    echo "the source of $package in $suite could not be fetched from $mirror" >&2
    exit 1
fi

mkdir -p "$target"
tar -xf "${orig[0]}" -C "$target" --strip-components=1
tar -xf "${debian[0]}" -C "$target"
grep -vE '^\s*(#|$)' "$target/debian/patches/series" | while read -r patch _; do
    patch -d "$target" -p1 --quiet <"$target/debian/patches/$patch"
done
