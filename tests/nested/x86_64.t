#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Stock x86-64 kernels on KVM: as bzImage, and as the vmlinux inside.
. "$(dirname "$0")/lib.sh"

# The compressed payload of a bzImage: where the setup header says (Linux x86 boot
# protocol, payload_offset and payload_length), less the size that ends it.
payload() {
	local sectors offset length
	sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$1")
	offset=$(od -An -tu4 -j $((0x248)) -N 4 "$1")
	length=$(od -An -tu4 -j $((0x24c)) -N 4 "$1")
	tail -c +$(((sectors + 1) * 512 + offset + 1)) "$1" | head -c $((length - 4))
}

# extract_vmlinux BZIMAGE VMLINUX
extract_vmlinux() {
	payload "$1" >"$work/payload"
	case $(od -An -tx1 -N 2 "$work/payload") in
	' fd 37') xz -dc "$work/payload" >"$2" ;;
	' 28 b5') zstd -qdc "$work/payload" >"$2" ;;
	*) bail "the kernel of $1 is packed in an unknown way" ;;
	esac
}

use x86_64
for suite in $(suites); do
	add_guest "$suite"
	extract_vmlinux "$(kernel_of "$suite")" "$work/vmlinux-$suite"
	add+=("$work/vmlinux-$suite:guest/$suite/vmlinux")
	also "$suite/kernel"
	also "$suite/vmlinux"
	[ "$suite" != trixie ] || also "$suite/kernel" --irqchip split
done
set_in_host serial ttyS0
in_host stock.sh
