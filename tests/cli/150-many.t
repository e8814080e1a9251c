#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many VMs at once.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

count=${MANY_VMS:-50}
limit_s=100
guest_sleep "$work/sleep"

# What the VMs that run have used of the CPU, and have of memory: "MILLISECONDS MIB".
costs() {
	jobs -p | xargs -I PID cat /proc/PID/stat 2>/dev/null | sed 's/.*) //' |
		awk -v hz="$(getconf CLK_TCK)" -v page="$(getconf PAGESIZE)" '
		{ ticks += $12 + $13; pages += $22 }
		END { print int(ticks * 1000 / hz), int(pages * page / 1048576) }'
}

# timed WHAT COMMAND...: runs it, and says what it took. The CPU's time has no finer grain than 10 ms
# for each VM.
timed() {
	local begin what=$1 cpu_before cpu mib

	shift
	read -r cpu_before _ < <(costs)
	begin=$(date +%s%N)
	"$@"
	begin=$((($(date +%s%N) - begin) / 1000000))
	read -r cpu mib < <(costs)
	echo "# $what: $begin ms; the VMs: $((cpu < cpu_before ? 0 : cpu - cpu_before)) ms of CPU, $mib MiB"
}

started() { [ "$(grep -l ready "$work"/vm*.out | wc -l)" = "$count" ]; }

start_all() {
	for ((i = 0; i < count; i++)); do
		"$kvik" run -n none --name "vm$i" -m 16M -c 1 "$work/sleep" </dev/null \
			>"$work/vm$i.out" 2>"$work/vm$i.err" &
	done
	wait_for 60 started
}

timed "$count VMs start" start_all
timed "list" run list
is "all are listed" "$status:$(grep -c ' running ' "$work/out")" "0:$count"
mapfile -t half < <("$kvik" list -q | head -n $((count / 2)))
timed "half of them pause" run pause "${half[@]}"
is "half of them pause" "$status:$(grep -c ': paused$' "$work/out")" "0:$((count / 2))"
run list
is "half of them are paused" "$(grep -c ' paused ' "$work/out")" "$((count / 2))"
timed "stat" run stat --all --json
is "all tell their metrics" "$status:$(wc -l <"$work/out")" "0:$count"
timed "all stop" run stop --force --all
is "all stop" "$status:$(grep -c ': stopped$' "$work/out")" "0:$count"
wait
times >"$work/times"
echo "# all VMs and commands from start to end, user and system: $(tail -n 1 "$work/times")"
is "nothing is left" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""
is "nobody complained" "$(cat "$work"/vm*.err | grep -vc ': ended by kvik stop$')" 0

finish
