#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock kernel uses the widest page tables that it is offered.
. "$(dirname "$0")/lib.sh"

plan 6
for mode in sv39 sv48 sv57; do
	guest 'grep mmu /proc/cpuinfo' --satp-mode $mode
	ok "$mode: powers off with status 0" ended_with 0
	ok "$mode: the kernel uses it" prints "^mmu.*: $mode"
done
