#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare arm64 programs on KVM: those for the GIC print with the GICv2 in user space what
# they print with QEMU's.
. "$(dirname "$0")/lib.sh"

use arm64
build=${GUEST_BUILD:-$NESTED_BUILD/guest}
said=$(GUEST_BUILD=$build "$top/tests/guest/arm64.t")
case $said in
*SKIP*) skip_all "${said#*SKIP }" ;;
*'not ok'*)
	echo "# ${said//$'\n'/$'\n# '}"
	bail "no programs to run"
	;;
esac
add+=("$build/arm64/list:programs/list")
while read -r name _; do
	case $name in '' | '#'*) continue ;; esac
	add+=("$build/arm64/$name:programs/$name"
		"$build/arm64/$name.reference:programs/$name.reference")
done <"$build/arm64/list"
in_host arm64-programs.sh
