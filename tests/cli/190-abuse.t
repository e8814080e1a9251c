#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The control socket under abuse (helper-abuse.c): the guest's work goes on, and whoever
# behaves is answered.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

seconds=${ABUSE_SECONDS:-5}
type "${CC:-cc}" &>/dev/null || { skip "abuse" "no compiler"; finish; }
if ! "${CC:-cc}" -O2 -D_GNU_SOURCE -pthread -o "$work/abuse" "$here/helper-abuse.c" 2>"$work/err"; then
	not_ok "the helper compiles" "$(<"$work/err")"
	finish
fi

# start NAME GUEST: $pid is the VM's.
start() {
	"$kvik" run -n none --name "$1" -m 16M -c 1 "$work/$2" </dev/null >"$work/$1.out" 2>"$work/$1.err" &
	pid=$!
	wait_for 10 [ -s "$work/$1.out" ]
}

abuse() { # abuse NAME
	timeout -k 5 $((seconds + 60)) "$work/abuse" "$KVIK_RUNTIME_DIR/$1.sock" "$seconds" >"$work/abused" 2>&1
	sed 's/^/# /' "$work/abused"
	[[ $(<"$work/abused") =~ asked\ ([0-9]+),\ failed\ ([0-9]+),\ late\ ([0-9]+) ]]
	asked=${BASH_REMATCH[1]:-0} failed=${BASH_REMATCH[2]:-} late=${BASH_REMATCH[3]:-}
}

# So often at least.
enough=10
[[ $kvik != *obj-* ]] || enough=0

# A guest whose loop prints.
printed() { stat -c %s "$work/loud.out"; }

guest_chatter "$work/chatter"
start loud chatter
begin=$(printed)
sleep 2
rate=$((($(printed) - begin) / 2))
begin=$(printed)
abuse loud
during=$((($(printed) - begin) / seconds))
echo "# the guest printed $rate bytes a second before, $during during the abuse"
is "whoever behaves is answered each time" "$((asked > enough)):$failed" 1:0
# The abusers take what they can get of the host's CPUs, and other tests may run.
if [[ $kvik == *obj-* ]]; then
	skip "within 100 ms" "a sanitizer's build takes its time"
else
	is "within 100 ms, but for what the host takes" "$((late * 2 <= asked))" 1
fi
# How fast, the abusers decide, who have as many CPUs; the next guest shows that it never stops.
is "the guest's loop goes on" "$((during > 0))" 1
descriptors() { find "/proc/$pid/fd" | wc -l; }
few_descriptors() { [ "$(descriptors)" -lt 120 ]; }
run list # the next to come makes room
if wait_for 5 few_descriptors; then pass "the clients are gone"; else not_ok "the clients are gone" "$(descriptors)"; fi
echo "# resident memory: $(ps -o rss= -p "$pid") KiB"
run stop --force loud
is "stop" "$status:$out" "0:loud: stopped"
wait "$pid"
is "nobody complained" "$(<"$work/loud.err")" "loud: ended by kvik stop"

# One whose loop watches its clock.
guest_clock "$work/clock"
start even clock
abuse even
is "another guest: each time" "$((asked > enough)):$failed" 1:0
is "its loop never stood still for a second" "$(<"$work/even.out")" ready
run stop --force even
is "stop this one" "$status:$out" "0:even: stopped"
wait "$pid"
finish
