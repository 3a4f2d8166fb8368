#!/bin/sh
# Makes the user of the services. Nothing is started or enabled: an administrator decides where the log is first.
set -eu
if ! getent passwd gxpledger >/dev/null; then
	shell=/usr/sbin/nologin
	[ -x "$shell" ] || shell=/sbin/nologin
	useradd --system --user-group --no-create-home --home-dir /var/lib/gxpledger --shell "$shell" gxpledger
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
