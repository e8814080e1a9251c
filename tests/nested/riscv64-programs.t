#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare riscv64 programs on KVM; what they must print is what they print elsewhere.
. "$(dirname "$0")/lib.sh"

# Not those that look at addresses where nothing is, at the bits of sip, or at what the
# emulated host's CPU has and ours has not: there KVM and that CPU answer. In guests of
# QEMU before 10, sip never shows a pending timer ("irq" waits for it without end, under
# kvmtool as well). "smp" and "ipi" want more CPUs than the host has: minutes on a busy one.
programs="hello alu fp branch memory atomic tlb smc patch remote"
misbehaving=traps
# In the hosts of later ones KVM returns from an illegal instruction to an address of its
# own, and a mapping that is changed is not seen: kvmtool's guests end there just so.
if [ "$(qemu-system-riscv64 --version | sed -n '1s/.*version \([0-9]*\).*/\1/p')" -ge 10 ]; then
	programs="alu fp memory atomic smc patch"
	misbehaving=
fi

use riscv64
build=${GUEST_BUILD:-$NESTED_BUILD/guest}
# Without a variant to run it builds, and asks QEMU where that is the reference.
# shellcheck disable=SC2086
GUEST_BUILD=$build GUEST_VARIANTS=' ' KVIK=/bin/true \
	"$top/tests/guest/run.sh" $programs $misbehaving >"$work/build" || bail "$(tail -n 3 "$work/build")"
for name in $programs; do
	grep "^$name " "$top/tests/guest/list"
	add+=("$build/$name/$name.elf:programs/$name.elf" "$build/$name/expected:programs/$name.expected")
done >"$work/list"
add+=("$work/list:programs/list")
[ -z "$misbehaving" ] || add+=("$build/traps/traps.elf:programs/traps.elf")
in_host riscv64-programs.sh
