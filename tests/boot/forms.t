#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same kernel boots in each form in which kernels are shipped.
. "$(dirname "$0")/lib.sh"

boots_as() { # boots_as FORM
	guest 'echo "this is $(uname -r)"'
	ok "$1: powers off with status 0" ended_with 0
	ok "$1: runs init" prints "^this is ${version//+/.}\$"
}

# An ELF executable with the Image's bytes and its BSS, at the address where the
# machine's RAM begins plus the Image's text offset.
make_elf() { # make_elf IMAGE ELF
	local file_bytes memory_bytes

	file_bytes=$(stat -c %s "$1")
	memory_bytes=$(od -An -tu8 -j16 -N8 "$1" | tr -d ' ')
	printf '%s\n' ".globl start; start: .incbin \"$1\"" \
		".bss; .space $((memory_bytes - file_bytes))" >"$work/kernel.s"
	riscv64-linux-gnu-as -o "$work/kernel.o" "$work/kernel.s" &&
		riscv64-linux-gnu-ld -N --no-warn-rwx-segments -Ttext=0x80200000 -e start \
			-o "$2" "$work/kernel.o"
}

plan 12
version=$("$files" show version)
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
