#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare programs of /programs/list; each has its NAME.reference.

# How many dots a flood of them leaves is not said.
same_output() {
	tr -d '\r' </tmp/out | sed -n '/^=== begin/,/^=== end/{/^\.*$/!p}' >/tmp/transcript
	cmp -s /tmp/transcript "/programs/$1.reference" && return
	diff "/programs/$1.reference" /tmp/transcript | grep '^[-+]' | head -n 20 | sed 's/^/#   /'
	return 1
}

while read -r name cpus seconds _ options; do
	case $name in '' | '#'*) continue ;; esac
	[ "$options" != - ] || options=
	# shellcheck disable=SC2034 # run_kvik looks at it.
	guest_timeout=$seconds
	# shellcheck disable=SC2046 # one word an option
	run_kvik --cpus "$cpus" --mem 64M $(echo "$options" | tr , ' ') "/programs/$name"
	ok "$name ends with status 0" ended_with 0
	ok "$name prints what it must" same_output "$name"
done </programs/list
done_testing
