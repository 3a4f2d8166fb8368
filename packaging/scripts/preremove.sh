#!/bin/sh
# Stops the services, unless this is an upgrade. The log in /var/lib/gxpledger and its user stay: a record is not deleted with a program.
set -eu
case "${1:-}" in
upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now gxpledger-projections.service gxpledger-serve.service || true
fi
