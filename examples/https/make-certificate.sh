#!/bin/sh
# Makes a certificate for example.com and *.example.com: certificate.yaml, a Secret, beside this script. Its authority
# is ca/cert.pem, made at the first run. Every further run makes a new certificate, which the gateway takes up as it
# runs.
set -eu
umask 077
cd "$(dirname "$0")"

work=$(mktemp -d .new.XXXXXX)
trap 'rm -rf "$work"' EXIT

if [ ! -f ca/cert.pem ] || [ ! -f ca/key.pem ]; then
    mkdir -p ca
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj "/CN=Varnish Gateway example authority" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
        -keyout "$work/ca-key.pem" -out "$work/ca-cert.pem" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    mv "$work/ca-key.pem" ca/key.pem
    mv "$work/ca-cert.pem" ca/cert.pem
fi

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=example.com" \
    -keyout "$work/tls.key" -out "$work/tls.csr" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
printf '%s\n' "subjectAltName=DNS:example.com,DNS:*.example.com" "extendedKeyUsage=serverAuth" \
    "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
    "authorityKeyIdentifier=keyid" >"$work/extensions"
serial=0x$(openssl rand -hex 16 | sed 's/^./4/')
openssl x509 -req -days 90 -sha256 -in "$work/tls.csr" -CA ca/cert.pem -CAkey ca/key.pem -set_serial "$serial" \
    -extfile "$work/extensions" -out "$work/tls.crt" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }

cat >"$work/certificate.yaml" <<SECRET
apiVersion: v1
kind: Secret
metadata:
  name: example-com
type: kubernetes.io/tls
data:
  tls.crt: $(base64 <"$work/tls.crt" | tr -d '\n')
  tls.key: $(base64 <"$work/tls.key" | tr -d '\n')
SECRET
mv "$work/certificate.yaml" certificate.yaml
echo "certificate.yaml: $(openssl x509 -in "$work/tls.crt" -noout -serial -enddate | tr '\n' ' ')"
