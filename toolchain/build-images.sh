#!/usr/bin/env bash
# Builds the images, without a registry of images, into archives that containerd and docker load.
#
#   toolchain/build-images.sh FOLDER [NAME...]
#
# The base images are made here, of Debian's packages and of this machine's Rust; `docker build` takes the same
# Containerfiles with the public ones.
set -euo pipefail

SUITE=trixie
REGISTRY=localhost

folder=${1:?usage: build-images.sh FOLDER [NAME...]}
shift
[ $# -gt 0 ] || set -- operator gateway
here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$here")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/packages/operator/pyproject.toml")

say() { printf '   images: %s\n' "$*" >&2; }

"$here/apt-install.sh" podman mmdebstrap runc debian-archive-keyring
mkdir -p "$folder"
# Names of images are the machine's: two checkouts must not mix theirs.
exec 9>/var/tmp/varnish-gateway-images.lock
flock 9

if ! podman image exists "$REGISTRY/debian:$SUITE"; then
    say "making Debian's base image (half a minute, once)"
    # shellcheck disable=SC2016 # apt-get fills the names in, not the shell
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
    security=${mirror%/debian*}/debian-security
    signed="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    mmdebstrap --quiet --variant=minbase \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        "$SUITE" - "deb $signed $mirror $SUITE main" "deb $signed $mirror $SUITE-updates main" \
        "deb $signed $security $SUITE-security main" |
        podman import --quiet --change 'CMD ["bash"]' - "$REGISTRY/debian:$SUITE" >/dev/null
fi

# Cargo is mounted, so the base image of ghost's stage is the other with a longer PATH.
rust=$(rustc --print sysroot)
printf 'FROM %s\nENV PATH=/opt/rust/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n' "$REGISTRY/debian:$SUITE" |
    podman build --quiet --pull=never --tag "$REGISTRY/rust:$SUITE" - >/dev/null

revision=$(git -C "$root" describe --always --dirty --match='')
for name in "$@"; do
    say "building $name"
    image="$REGISTRY/varnish-gateway-$name:$version"
    podman --runtime runc build --quiet --pull=never --network=host --layers \
        --volume "$rust:/opt/rust:ro" --volume /etc/ssl/certs/ca-certificates.crt:/opt/authorities.pem:ro \
        --build-arg SSL_CERT_FILE=/opt/authorities.pem \
        --build-arg DEBIAN="$REGISTRY/debian:$SUITE" --build-arg RUST="$REGISTRY/rust:$SUITE" \
        --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        --tag "$image" -f "$root/images/$name/Containerfile" "$root" >"$folder/$name.log" 2>&1 ||
        { tail -n 40 "$folder/$name.log" >&2; exit 1; }
    id=$(podman image inspect --format '{{.Id}}' "$image")
    if [ "$(cat "$folder/$name.id" 2>/dev/null)" != "$id" ]; then
        rm -f "$folder/$name.tar" "$folder/$name.id"
        podman save --quiet --format docker-archive -o "$folder/$name.tar" "$image"
        echo "$id" >"$folder/$name.id"
    fi
    podman image inspect --format "$image {{.Size}}" "$image" | awk '{ printf "%s: %d MB\n", $1, $2 / 1e6 }'
done
