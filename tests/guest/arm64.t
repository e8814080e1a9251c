#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the bare arm64 programs, and asks QEMU where that is the reference; TAP.
#
# What it leaves in build/guest/arm64 (NAME, NAME.reference and the list) is for
# tests/nested/arm64-programs.t, which runs the same programs on kvik.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)/arm64
build=${GUEST_BUILD:-${OBJ:-build/obj}/../guest}/arm64
cross=aarch64-linux-gnu-
qemu="qemu-system-aarch64"

# Code for this architecture is position-independent as it is; linked as such, guest.ld
# finds the data that is not.
cflags=(-std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-stack-protector -mgeneral-regs-only
	-mstrict-align -mno-outline-atomics -fno-tree-switch-conversion
	-fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables
	-Wall -Wextra -Werror -Wno-unused-parameter)
ldflags=(-nostdlib -static -no-pie -Xlinker -pie -Xlinker --no-dynamic-linker -Xlinker -z
	-Xlinker text -Xlinker --build-id=none -Xlinker --no-warn-rwx-segments
	-T "$here/lib/guest.ld")

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

missing() {
	! command -v "$1" >/dev/null
}

is_current() {
	[ -e "$1" ] && [ -z "$(find "$here" "$0" -newer "$1" -print -quit)" ]
}

compile() {
	local name=$1 output=$build/$1

	is_current "$output" && return
	${cross}gcc "${cflags[@]}" "${ldflags[@]}" -o "$output.elf" "$here/lib/start.S" \
		"$here"/lib/*.c "$here/$name.c" &&
		${cross}objcopy -O binary "$output.elf" "$output.tmp" && mv "$output.tmp" "$output"
}

# run_qemu NAME CPUS SECONDS
run_qemu() {
	timeout "$3" $qemu -M virt,gic-version=2 -cpu max -smp "$2" -m 128M -nographic \
		-monitor none -kernel "$build/$1" </dev/null 2>/dev/null |
		tr -d '\r' | sed -n '/^=== begin/,/^=== end/p'
}

# Whether a program came to its end, and to a good one.
complete() {
	tail -n 1 "$1" | grep -q '^=== end' && ! grep -q '^FATAL' "$1"
}

# reference NAME CPUS SECONDS KIND: leaves NAME.reference.
reference() {
	local output=$build/$1.reference

	if [ "$4" = file ]; then
		cp "$here/$1.expect" "$output"
	elif ! is_current "$output"; then
		run_qemu "$1" "$2" "$3" >"$output.tmp"
		complete "$output.tmp" && mv "$output.tmp" "$output"
	fi
}

missing ${cross}gcc && skip_all "no ${cross}gcc (apt install gcc-aarch64-linux-gnu)"
missing $qemu && skip_all "no $qemu (apt install qemu-system-arm)"
mkdir -p "$build"
cp "$here/list" "$build/"
echo "1..$(grep -c '^[a-z]' "$here/list")"
number=0 failed=0
while read -r name cpus seconds kind _; do
	[[ -z $name || $name == \#* ]] && continue
	number=$((number + 1))
	if ! compile "$name"; then
		echo "not ok $number - $name does not compile"
		failed=1
	elif ! reference "$name" "$cpus" "$seconds" "$kind"; then
		echo "not ok $number - QEMU does not finish $name"
		tail -n 5 "$build/$name.reference.tmp" | sed 's/^/# /'
		failed=1
	else
		echo "ok $number - $name"
	fi
done <"$here/list"
exit $failed
