#!/bin/sh
# Asks a server over this repository what a real EventStoreDB was asked, and compares the answers with the tables of
# docs/eventstoredb.md. ./task facts runs it, from the root. It is a script of its own because Task's shell starts no
# process that it could end.
set -eu

given=${GXPLEDGER_ESDB_FACTS:-../shared/esdb}
if ! facts=$(cd "$given" 2>/dev/null && pwd) || [ ! -f "$facts/facts-24.6.0.json" ]; then
	echo "cannot ask for the facts: they are not in $given; set GXPLEDGER_ESDB_FACTS to their folder" >&2
	exit 1
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "cannot ask for the facts: node or npm is missing; install Node.js" >&2
	exit 1
fi

folder=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cp -r "$facts/probe" "$folder/probe"
chmod -R u+w "$folder/probe"
# A question ends with a short silence. One that appends meanwhile must not: a slow machine needs longer for an append. Nor must one end
# because the machine needs long for the answer.
sed 's/}, o\.idle || 400)/}, Math.max(o.idle || 400, o.on ? 6000 : 0))/; s/o\.hard || 15000/o.hard || 60000/; s/20 s.)), 20000/&0/' \
	"$facts/probe/lib.js" >"$folder/probe/lib.js"
(cd "$folder/probe" && npm install --silent --no-audit --no-fund)
bin/gxpledger scan . --name gxpledger --home "$folder/home" --reason facts >"$folder/scan.log" 2>&1 || {
	cat "$folder/scan.log" >&2
	exit 1
}

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
bin/gxpledger serve --home "$folder/home" --esdb "127.0.0.1:$port" --esdb-writable order- >"$folder/serve.log" 2>&1 &
server=$!
until node -e 'require("net").connect(+process.argv[1], "127.0.0.1").on("connect", () => process.exit(0)).on("error", () => process.exit(1))' "$port"; do
	if ! kill -0 "$server" 2>/dev/null; then
		cat "$folder/serve.log" >&2
		exit 1
	fi
	sleep 0.2
done

PROTOS=$(go list -m -f '{{.Dir}}' github.com/EventStore/EventStore-Client-Go/v4)/protos
export PROTOS
# ask runs a program that asks, for no longer than half an hour: on a machine with much load, its client has been seen to begin the
# same call again and again without ever sending it (grpc-js, once its connection refuses streams).
ask() {
	node "$@" &
	asking=$!
	seconds=0
	while kill -0 "$asking" 2>/dev/null; do
		if [ "$seconds" -ge 1800 ]; then
			kill -9 "$asking"
			echo "cannot ask for the facts: $1 did not end within half an hour; try again on a quiet machine" >&2
			exit 1
		fi
		sleep 1
		seconds=$((seconds + 1))
	done
	wait "$asking"
}
echo "asking some 930 questions, which takes about five minutes"
(
	cd "$folder/probe"
	ask probe.js "127.0.0.1:$port" "$folder/out.json"
	ask probe2.js "127.0.0.1:$port" "$folder/out2.json"
	node compare.js "$facts/facts-24.6.0.json" "$folder/out.json" "$folder/out2.json" --all >"$folder/compared.txt"
)
tail -n 1 "$folder/compared.txt"
GXPLEDGER_ESDB_FACTS=$facts GXPLEDGER_ESDB_COMPARED=$folder/compared.txt \
	go test -count=1 -v -run '^TestThePageNamesWhatIsDifferentFromEventStoreDB$' ./eventstore/esdbserver
