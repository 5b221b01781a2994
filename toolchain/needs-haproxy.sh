#!/usr/bin/env bash
# Whether a folder of manifests has a word that makes a gateway need HAProxy: HTTPS listeners, HTTP/2 in the clear.
#
#   toolchain/needs-haproxy.sh FOLDER
#
# A word too many, in a comment say, costs a build that was not needed. A listener that comes later says what is lacking.
set -euo pipefail

folder=${1:?usage: needs-haproxy.sh FOLDER}
exec grep -RqsawE --devices=skip --include='*.yaml' --include='*.yml' --include='*.json' 'HTTPS|cleartext' "$folder"
