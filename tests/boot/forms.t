#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same kernel boots in each form in which kernels are shipped.
. "$(dirname "$0")/lib.sh"

boots_as() { # boots_as FORM
	guest 'echo "this is $(uname -r)"'
	ok "$1: powers off with status 0" ended_with 0
	ok "$1: runs init" prints "^this is ${version//+/.}\$"
}

# An ELF executable with the Image's bytes as its one segment, at the address where
# the machine's RAM begins plus the Image's text offset.
make_elf() {
	riscv64-linux-gnu-ld -m elf64lriscv -z noexecstack -z max-page-size=4096 -e start \
		-T /dev/stdin -b binary "$1" -o "$2" <<-EOF
		PHDRS { text PT_LOAD FLAGS(7); }
		SECTIONS { . = 0x80200000; start = .; .text : { *(.data) } :text }
	EOF
}

plan 12
version=$("$files" path version)
image=$kernel
boots_as Image

kernel=$work/kernel
gzip -c "$image" >"$kernel"
boots_as Image.gz

for kind in gzip zstd zstd22; do
	"$top/tests/boot/mkzboot" $kind "$image" >"$kernel"
	boots_as "EFI zboot, $kind"
done

if type riscv64-linux-gnu-ld &>/dev/null; then
	make_elf "$image" "$kernel"
	boots_as "ELF vmlinux"
else
	skip 2 "no riscv64-linux-gnu-ld"
fi
