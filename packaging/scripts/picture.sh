#!/bin/sh
# Makes docs/images/matrix.png: the matrix of the example, as a browser shows it. It needs chromium and optipng.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -o "$folder/gxpledger" ./cmd/gxpledger)
cp -r "$root/examples/pump" "$folder/product"
cd "$folder/product"
git init -q -b main
git add .gxp
git -c user.name=Ada -c user.email=ada@example.org commit -q -m "The pump"
../gxpledger init --name product --yes --reason "first use" > /dev/null
../gxpledger keys trust ci.pem --name "CI 2026" --reason "change request 17" > /dev/null
../gxpledger scan --reason "release 1.0" > /dev/null
../gxpledger matrix --output ../matrix.html
mkdir -p "$root/docs/images"
# As root, chromium runs without its sandbox alone.
[ "$(id -u)" = 0 ] && sandbox=--no-sandbox || sandbox=
chromium --headless $sandbox --disable-gpu --hide-scrollbars --window-size=1100,1000 --screenshot="$folder/matrix.png" "file://$folder/matrix.html" 2> /dev/null
optipng -quiet -o5 -strip all "$folder/matrix.png"
cp "$folder/matrix.png" "$root/docs/images/matrix.png"
ls -l "$root/docs/images/matrix.png"
