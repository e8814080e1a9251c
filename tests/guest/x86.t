#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the bare x86-64 programs and, where KVM can, runs them; with "build" as its
# argument it only builds. What it leaves in build/guest/x86 runs anywhere.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)/x86
export KVIK=${KVIK:-$here/../../../kvik}
build=${GUEST_BUILD:-${OBJ:-build/obj}/../guest}/x86
cflags=(-m64 -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-stack-protector -mno-red-zone
	-mgeneral-regs-only -fcf-protection=none -fno-asynchronous-unwind-tables
	-fno-tree-loop-distribute-patterns -Wall -Wextra -Werror -Wno-unused-parameter
	-Wno-main)
ldflags=(-nostdlib -static -no-pie -Xlinker --build-id=none -Xlinker --no-warn-rwx-segments
	-T "$here/lib/guest.ld")

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# The compiler for x86-64, the host's own or a cross compiler.
find_compiler() {
	local candidate

	for candidate in gcc x86_64-linux-gnu-gcc; do
		[[ $($candidate -dumpmachine 2>/dev/null) == x86_64* ]] && cc=$candidate && return
	done
	return 1
}

build_program() {
	local output=$build/$1

	[ -e "$output" ] && [ -z "$(find "$here" "$0" -newer "$output" -print -quit)" ] && return
	$cc "${cflags[@]}" "${ldflags[@]}" -o "$output.tmp" "$here/lib/start.S" "$here"/lib/*.c \
		"$here/$1.c" && mv "$output.tmp" "$output"
}

find_compiler || skip_all "no gcc for x86-64 (apt install gcc-x86-64-linux-gnu)"
mkdir -p "$build"
while read -r name _; do
	[[ -z $name || $name == \#* ]] && continue
	build_program "$name" || { echo "Bail out! $name does not compile"; exit 1; }
done <"$here/list"
cp "$here/list" "$here"/*.expect "$here/run.sh" "$build/"
[ "${1:-}" = build ] && exit
[ "$(uname -m)" = x86_64 ] || skip_all "no x86-64 host"
exec "$here/run.sh" "$build"
