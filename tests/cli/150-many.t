#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many VMs at once.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

count=${MANY_VMS:-50}
limit_s=100
guest_sleep "$work/sleep"

# timed WHAT COMMAND...: runs it, and says how long it took.
timed() {
	local begin what=$1

	begin=$(date +%s%N)
	shift
	"$@"
	echo "# $what: $((($(date +%s%N) - begin) / 1000000)) ms"
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
echo "# resident memory of all: $(ps -o rss= -C kvik | awk '{ sum += $1 } END { print int(sum / 1024) }') MiB"
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
is "nothing is left" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""
is "nobody complained" "$(cat "$work"/vm*.err | grep -vc ': ended by kvik stop$')" 0

finish
