#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What an idle guest costs: CPU time, and kvik's own memory beside the guest's.
. "$(dirname "$0")/lib.sh"

guest_mib=512
seconds=${IDLE_SECONDS:-20}

cpu_ticks() {
	# After the name, which may have spaces: fields 14 and 15 are user and system time.
	sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}

# The memory of all mappings but the guest's RAM, which is the only one of its size.
own_kib() {
	awk -v ram=$((guest_mib * 1024)) '
	/^[0-9a-f]+-[0-9a-f]+ / { guest = 0 }
	/^Size:/ && $2 >= ram { guest = 1 }
	/^Rss:/ && !guest { sum += $2 }
	END { print sum + 0 }' "/proc/$pid/smaps"
}

# Sets $permille, of one CPU.
measure_cpu() {
	local before

	before=$(cpu_ticks)
	sleep "$seconds"
	permille=$((($(cpu_ticks) - before) * 1000 / ($(getconf CLK_TCK) * seconds)))
}

measure() { # measure HARTS
	local try

	start_guest 'echo "idle now"; sleep 1000' --cpus "$1" --mem ${guest_mib}M
	wait_for '^idle now' || return
	sleep 3 # what init left behind, RCU and the like
	# A busy host makes each wakeup dearer: the best of three.
	for try in 1 2 3; do
		measure_cpu
		[ "$permille" -ge 5 ] || break
		echo "# try $try: $permille/1000 of a CPU"
	done
	memory=$(own_kib)
	kill "$pid"
	wait "$pid" 2>/dev/null
	echo "# $1 hart(s): CPU $((permille / 10)).$((permille % 10)) %, own memory $memory KiB"
}

plan 4
for harts in 1 4; do
	permille=9999 memory=99999999
	measure $harts
	ok "$harts hart(s) idle: less than 0.5 % of a CPU" [ "$permille" -lt 5 ]
	ok "$harts hart(s): kvik's own memory below 32 MiB" [ "$memory" -lt 32768 ]
done
