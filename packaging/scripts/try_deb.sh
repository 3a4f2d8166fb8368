#!/bin/sh
# Installs the package for Debian in the folder that is given, uses it, checks what it installed, and removes it. It needs root and dpkg.
set -eu
note() { echo "NOTE: THE PACKAGE FOR DEBIAN WAS NOT TRIED: $*" >&2; exit 0; }
fail() { echo "the package for Debian: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || note "only root installs packages"
command -v dpkg >/dev/null || note "there is no dpkg"
arch=$(dpkg --print-architecture)
deb=$(find "$1" -name "*_linux_$arch.deb" 2>/dev/null)
[ -n "$deb" ] || fail "no package for $arch in $1: run ./task release before"
if dpkg -s gxpledger 2>/dev/null | grep -q '^Status: install ok installed'; then
	note "gxpledger is installed here, and is left alone"
fi

work=$(mktemp -d)
had_user=$(getent passwd gxpledger || true)
clean() {
	dpkg --purge gxpledger >/dev/null 2>&1 || true
	[ -n "$had_user" ] || userdel gxpledger 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

dpkg -i "$deb" >"$work/install.log" 2>&1 || fail "cannot be installed: $(cat "$work/install.log")"
dpkg --verify gxpledger
[ "$(command -v gxpledger)" = /usr/bin/gxpledger ] || fail "another gxpledger comes first: $(command -v gxpledger)"
version=$(dpkg-query -W -f '${Version}' gxpledger)
gxpledger --version | tee "$work/version"
grep -q '^commit [0-9a-f]\{40\} of 20' "$work/version" || fail "the binary does not name its commit"
getent passwd gxpledger >/dev/null || fail "there is no user for the services"
[ "$(stat -c '%U %a' /etc/gxpledger/gxpledger.env)" = "root 600" ] || fail "others read the settings of the services"

# The first use, as the user of the services: a scan, and what it recorded.
state=$work/state
chmod 755 "$work"
install -d -o gxpledger -g gxpledger -m 0750 "$state" "$state/product" "$state/product/.gxp" "$state/product/.gxp/requirements"
printf -- '---\nid: 5b0c6a52-7d2e-4f0f-9a51-0d1c2b3a4958\nproject_name: Demo\ngxp_risk_rating: HIGH\nvalidation_status: DRAFT\n---\n\n# Demo\n' >"$state/product/.gxp/system_context.md"
printf -- '---\ngxp_id: REQ-001\ntitle: The first\ngxp_risk_rating: HIGH\ndescription: it\n---\n' >"$state/product/.gxp/requirements/REQ-001.md"
chown -R gxpledger:gxpledger "$state"
as() { runuser -u gxpledger -- env HOME="$state" GXPLEDGER_HOME="$state/ledger" "$@"; }
as git -C "$state/product" init -q
as git -C "$state/product" add -A
as git -C "$state/product" -c user.name=x -c user.email=x@example.org commit -q -m first
as gxpledger scan "$state/product" --name demo --reason "first use" >/dev/null
as gxpledger show requirements | grep -q REQ-001 || fail "a requirement that was scanned is not shown"
as gxpledger verify >/dev/null

# The services: units that systemd takes, with commands that exist.
for unit in gxpledger-projections gxpledger-serve; do
	file=/usr/lib/systemd/system/$unit.service
	[ -f "$file" ] || fail "$file is missing"
	if command -v systemd-analyze >/dev/null; then
		systemd-analyze verify "$file" >"$work/verify" 2>&1 || fail "systemd refuses $file: $(cat "$work/verify")"
		systemd-analyze security --offline=true --threshold=25 "$file" >"$work/security" 2>&1 || fail "$file is open to attacks: $(tail -n 1 "$work/security")"
		tail -n 1 "$work/security"
	else
		echo "NOTE: there is no systemd-analyze: the units were not checked" >&2
	fi
done
# shellcheck disable=SC1091
set -a # as systemd has them in the environment
. /etc/gxpledger/gxpledger.env
set +a
# shellcheck disable=SC2086
as timeout --signal TERM --preserve-status 5 gxpledger projections run $GXPLEDGER_PROJECTIONS_FLAGS >"$work/run" || fail "the service of the tables ends with an error: $(cat "$work/run")"
# shellcheck disable=SC2086
as timeout --signal TERM --preserve-status 5 gxpledger serve $GXPLEDGER_SERVE_FLAGS >"$work/serve" || fail "the service of clients ends with an error: $(cat "$work/serve")"
grep -q 'Serving' "$work/serve" || fail "the service of clients does not listen"

gzip -t /usr/share/man/man1/gxpledger.1.gz /usr/share/man/man1/gxpledger-scan.1.gz
if command -v man >/dev/null && command -v groff >/dev/null; then
	warnings=$(MANWIDTH=100 man --warnings -E UTF-8 -l /usr/share/man/man1/gxpledger-scan.1.gz 2>&1 >/dev/null)
	[ -z "$warnings" ] || fail "the manual is wrong: $warnings"
fi
bash -c '. /usr/share/bash-completion/completions/gxpledger' || fail "the completions of bash are wrong"
gxpledger __complete sca 2>/dev/null | grep -q '^scans' || fail "no command is completed"

# Settings that were changed survive an upgrade; removing leaves nothing but settings; purging leaves nothing.
echo "# changed" >>/etc/gxpledger/gxpledger.env
dpkg -i "$deb" >"$work/upgrade.log" 2>&1 </dev/null || fail "cannot be upgraded: $(cat "$work/upgrade.log")"
grep -q '^# changed' /etc/gxpledger/gxpledger.env || fail "an upgrade lost settings"
dpkg --remove gxpledger >"$work/remove.log" 2>&1 || fail "cannot be removed: $(cat "$work/remove.log")"
[ ! -e /usr/bin/gxpledger ] || fail "the binary is still there"
[ -f /etc/gxpledger/gxpledger.env ] || fail "removing deletes settings"
dpkg --purge gxpledger >"$work/purge.log" 2>&1 || fail "cannot be purged: $(cat "$work/purge.log")"
[ ! -e /etc/gxpledger ] || fail "purging leaves settings"
[ -f "$state/ledger/log.db" ] || fail "removing deletes logs"
echo "The package gxpledger $version for Debian was installed, used, upgraded and removed."
