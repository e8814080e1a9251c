#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The user-space GICv2 beside QEMU's: bare arm64 programs print the same on both.
. "$(dirname "$0")/lib.sh"

use arm64
export GUEST_BUILD=${GUEST_BUILD:-$top/build/guest}
said=$("$top/tests/guest/arm64.t")
case $said in
*SKIP*) skip_all "${said#*SKIP }" ;;
*'not ok'*)
	echo "# ${said//$'\n'/$'\n# '}"
	bail "no programs to run"
	;;
esac
add+=("$GUEST_BUILD/arm64/list:guest/list")
while read -r name _; do
	case $name in '' | '#'*) continue ;; esac
	add+=("$GUEST_BUILD/arm64/$name:guest/$name"
		"$GUEST_BUILD/arm64/$name.reference:guest/$name.reference")
done <"$GUEST_BUILD/arm64/list"
in_host gic.sh
