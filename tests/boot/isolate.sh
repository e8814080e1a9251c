# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests that want namespaces of their own, before lib.sh.
# shellcheck shell=bash

here=$(dirname "$0")

# isolate FLAGS WHY ARGUMENT...: runs the test again with its ARGUMENTs, in the namespaces that
# unshare's FLAGS name, as root there where it must be; skips it, saying WHY, where there are
# none.
isolate() {
	local flags=$1 why=$2
	shift 2

	[ -z "${ISOLATED:-}" ] || return 0
	# What is missing can be fetched from here only.
	"$here/../../scripts/guest-files" fetch || exit 1
	export ISOLATED=yes
	! unshare "-$flags" true 2>/dev/null || exec unshare "-$flags" "$0" "$@"
	! unshare "-Ur$flags" true 2>/dev/null || exec unshare "-Ur$flags" "$0" "$@"
	echo "1..0 # SKIP $why"
	exit 0
}
