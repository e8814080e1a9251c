#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock kernel reaches init with 1, 2, 4 and 8 harts, all of them in use.
. "$(dirname "$0")/lib.sh"

plan 12
for harts in 1 2 4 8; do
	guest 'echo "CPUs: $(nproc)"
		# One process for each, so that every hart has run user code.
		for cpu in $(seq 0 $(($(nproc) - 1))); do
			taskset -c $cpu sh -c ":" && echo "ran on $cpu"
		done' --cpus "$harts"
	ok "$harts hart(s): powers off with status 0" ended_with 0
	ok "$harts hart(s): init sees all of them" prints "^CPUs: $harts\$"
	ok "$harts hart(s): each runs a process" prints_times "$harts" '^ran on [0-7]$'
done
