#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --dump-dtb: the tree is what the options say, and dtc has nothing against it.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_poweroff "$work/guest"
kernel=$work/guest
truncate -s 1M "$work/disk" "$work/other"

refused "a file that cannot be made" '--dump-dtb /nonexistent/x: .*No such file' \
	run "$kernel" --dump-dtb /nonexistent/x
refused "a full disk" '--dump-dtb /dev/full: .*No space left' run "$kernel" --dump-dtb /dev/full

run run "$kernel" --dump-dtb "$work/dtb"
is "the guest runs all the same" "$status:$out:$err" "0:hello:"
is "the tree begins with its magic" "$(od -An -tx1 -N4 "$work/dtb" | tr -d ' ')" d00dfeed
echo junk-longer-than-any-tree >"$work/dtb2"
head -c 1000000 /dev/zero >>"$work/dtb2"
run run "$kernel" --dump-dtb "$work/dtb2"
is "an older file is replaced as a whole" "$(stat -c %s "$work/dtb2")" "$(stat -c %s "$work/dtb")"

if ! command -v dtc >/dev/null; then
	skip "what the tree says" "dtc is not installed (package device-tree-compiler)"
	finish
fi

# tree ARGUMENTS...: $tree is the source of what the guest gets.
tree() {
	run run "$kernel" --dump-dtb "$work/dtb" "$@"
	tree=$(dtc -I dtb -O dts "$work/dtb" 2>"$work/said")
	is "dtc takes the tree of '$*'" "$?:$(head -n 3 "$work/said")" "0:"
}

nodes() { grep -cE "$1" <<<"$tree"; }

tree -c 1
like "the guest's word is riscv64's" "$tree" 'compatible = "riscv-virtio"|riscv'
is "one CPU" "$(nodes '^\s*cpu@')" 1
like "Sv39" "$tree" 'mmu-type = "riscv,sv39"'
like "the console is the serial port" "$tree" 'bootargs = "[^"]*console=ttyS0'
is "no virtio device but the power button" "$(nodes '^\s*virtio.*@.*\{')" 1

tree -c 8 -m 1G -d "$work/disk" -d "$work/other,ro" --rng --console virtio --satp-mode sv48 \
	-p quiet
is "eight CPUs" "$(nodes '^\s*cpu@')" 8
like "Sv48" "$tree" 'mmu-type = "riscv,sv48"'
like "1 GiB" "$tree" 'reg = <0x0?0? 0x80000000 0x0?0? 0x40000000>'
is "four virtio devices and the power button" "$(nodes '^\s*virtio.*@.*\{')" 5
like "the console is virtio's" "$tree" 'bootargs = "[^"]*console=hvc0'
like "parameters come last" "$tree" 'bootargs = "[^"]* quiet"'

tree --nodefaults -p alone
like "--nodefaults leaves the given ones" "$tree" 'bootargs = "alone"'
tree --nodefaults
unlike "--nodefaults alone leaves none" "$tree" 'console='

head -c 5000 /dev/zero >"$work/initrd"
tree -i "$work/initrd"
like "an initrd is announced" "$tree" 'linux,initrd-start'
tree --kaslr-seed 0x1122334455667788
like "the seed is the one that was given" "$tree" 'kaslr-seed = <0x11223344 0x55667788>'
tree -c 64 -m 512
is "64 CPUs" "$(nodes '^\s*cpu@')" 64

finish
