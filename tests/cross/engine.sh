#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The software engine on a host of another architecture, by QEMU's user mode; TAP.
#
# usage: tests/cross/engine.sh ARCH RUNNER
#
# Runs those guest programs which depend on the host or its compiler: atomics, memory
# order, floating point, arithmetic, interrupts, translation. CROSS_BUILD is where
# `make cross` put ARCH/kvik-static.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${CROSS_BUILD:-$here/../../build}
programs="alu fp random-1 memory atomic traps irq vm tlb smc smp patch"

command -v "$2" >/dev/null || {
	echo "1..0 # SKIP no $2 (apt install qemu-user)"
	exit 0
}
export KVIK=$build/$1/kvik-static KVIK_RUNNER=$2 GUEST_VARIANTS=plain
# shellcheck disable=SC2086
exec "$here/../guest/run.sh" $programs
