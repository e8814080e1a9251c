#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare riscv64 programs on KVM; what they must print is what they print elsewhere.
. "$(dirname "$0")/lib.sh"

# Those that look at what is the hart's business, not the software engine's.
programs="hello alu fp decode branch memory atomic csr traps irq vm tlb smc smp remote beyond
	lowaddr ipi patch"

use riscv64
build=${GUEST_BUILD:-$NESTED_BUILD/guest}
# Without a variant to run it builds, and asks QEMU where that is the reference.
# shellcheck disable=SC2086
GUEST_BUILD=$build GUEST_VARIANTS=' ' KVIK=/bin/true \
	"$top/tests/guest/run.sh" $programs >"$work/build" || bail "$(tail -n 3 "$work/build")"
for name in $programs; do
	grep "^$name " "$top/tests/guest/list"
	add+=("$build/$name/$name.elf:programs/$name.elf" "$build/$name/expected:programs/$name.expected")
done >"$work/list"
add+=("$work/list:programs/list")
in_host riscv64-programs.sh
