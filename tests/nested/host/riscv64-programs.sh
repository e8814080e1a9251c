#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare programs of /programs: each must print on KVM what it prints elsewhere.
# /programs/list has the lines of tests/guest/list.
matches() {
	tr -d '\r' </tmp/out | sed -n '/^=== begin/,/^=== end/p' | judged >/tmp/transcript
	judged <"/programs/$1.expected" >/tmp/expected
	cmp -s /tmp/transcript /tmp/expected && return
	diff /tmp/expected /tmp/transcript | grep '^[-+]' | head -n 12 | sed 's/^/# /'
	return 1
}

# A fence.i is nothing to QEMU, which now and then runs old code after a store by another
# of its CPUs; "remote" finds that without KVM just so.
judged() {
	sed '/^remote fence.i: [0-9]* wrong$/d'
}

while read -r name harts seconds _; do
	# shellcheck disable=SC2034 # run_kvik looks at it.
	guest_timeout=$((4 * seconds))
	run_kvik --cpus "$harts" --mem 128M "/programs/$name.elf"
	ok "$name" matches "$name"
done </programs/list

# It ends with a jump to where nothing is, which KVM does not turn into a trap.
if [ -e /programs/traps.elf ]; then
	run_kvik --cpus 1 --mem 128M /programs/traps.elf
	ok "a jump to nowhere ends with status 255" ended_with 255
	ok "with the registers" reports 'pc +0000000090000000'
else
	skip 2 "a jump to nowhere: not in the hosts of this QEMU"
fi
done_testing
