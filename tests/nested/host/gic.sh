#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare programs of /guest/list on the user-space GIC; each has its NAME.reference.
same_output() {
	tr -d '\r' </tmp/out | sed -n '/^=== begin/,/^=== end/p' >/tmp/said
	diff "/guest/$1.reference" /tmp/said >/tmp/differences && return
	head -n 20 /tmp/differences | sed 's/^/#   /'
	return 1
}

while read -r name cpus seconds _; do
	case $name in '' | '#'*) continue ;; esac
	# shellcheck disable=SC2034 # run_kvik's
	guest_timeout=$seconds
	run_kvik --irqchip user --cpus "$cpus" --mem 64M "/guest/$name"
	ok "$name ends with status 0" ended_with 0
	ok "$name prints what it must" same_output "$name"
done </guest/list
done_testing
