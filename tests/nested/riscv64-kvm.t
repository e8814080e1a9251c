#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# riscv64 on KVM beyond stock kernels: guests that misbehave, what the options take away,
# huge pages.
. "$(dirname "$0")/lib.sh"

# image NAME WORD...: instructions, given as printf's escapes, behind an Image header.
image() {
	local name=$1

	shift
	{
		printf '\x6f\0\0\x04\0\0\0\0\0\0\x20\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
		printf '\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0RISCV\0\0\0RSC\5\0\0\0\0'
		# shellcheck disable=SC2059 # the format is the point
		printf "$@"
		head -c 4000 /dev/zero
	} >"$work/$name"
	add+=("$work/$name:bad/$name")
}

use riscv64
add_guest trixie
image jump '\xb7\x02\0\x40\x67\x80\x02\0'  # lui t0, 0x40000; jr t0: nothing is there
image amo '\xb7\x02\0\x10\x2f\xa3\x72\0'   # lui t0, 0x10000; amoadd.w t1, t2, (t0): the UART
# lui t0, 0xc000; sb, sh and sd to the PLIC; li a7, SRST; a1 = 1: it failed; ecall
image srst '\xb7\x02\0\x0c\x23\x80\x62\0\x23\x90\x62\0\x23\xb0\x62\0\xb7\x58\x52\x53\x93\x88\x48\x35\x13\x08\0\0\x13\x05\0\0\x93\x05\x10\0\x73\0\0\0'
in_host riscv64-kvm.sh
