#!/usr/bin/env bash
# Builds what a cluster for tests is made of into PREFIX:
# Kubernetes in one program, helm, and the Gateway API's CRDs.
#
#   toolchain/build-kubernetes.sh PREFIX
#
# PREFIX appears only when it is complete.
set -euo pipefail

HELM=v3.20.2
NAMES=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl load-balancer)

prefix=${1:?usage: build-kubernetes.sh PREFIX}
here=$(dirname "$(readlink -f "$0")")
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"

say() { printf '   kubernetes: %s\n' "$*" >&2; }

mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix.new"
mkdir -p "$prefix.new/bin" "$prefix.new/crds"

cd "$here/../e2e/cluster/kubernetes"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
done
say "compiling $version (about seven minutes on two cores)"
go build -ldflags "$flags" -o "$prefix.new/bin/kubernetes" .
for name in "${NAMES[@]}"; do ln -s kubernetes "$prefix.new/bin/$name"; done

say "compiling helm $HELM"
helm=helm.sh/helm/v3
flags="-s -w -X $helm/internal/version.version=$HELM"
flags+=" -X $helm/pkg/chartutil.k8sVersionMajor=$major -X $helm/pkg/chartutil.k8sVersionMinor=$minor"
GOBIN="$prefix.new/bin" go install -ldflags "$flags" "$helm/cmd/helm@$HELM"

# What holds a pod's namespaces.
printf '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n' |
    gcc -Os -static -s -x c - -o "$prefix.new/bin/pause"

say "the Gateway API's CRDs"
cd "$here/../e2e/conformance"
# The suite's module asks for a newer Go than may be here: the module proxy has it.
GOTOOLCHAIN=$(awk '$1 == "toolchain" { print $2 }' go.mod)
export GOTOOLCHAIN
go mod download sigs.k8s.io/gateway-api
install -m 644 "$(go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)"/config/crd/experimental/gateway.*.yaml "$prefix.new/crds"

rm -rf "$prefix"
mv "$prefix.new" "$prefix"
say "$("$prefix/bin/kubectl" version --client | head -n 1)"
