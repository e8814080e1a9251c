#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMs that are killed at any moment of their start and of their end: the next one of that
# name starts, with the same disk. KILLS is how often, 20; "make check-life-soak" does more.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

kills=${KILLS:-20}
limit_s=100
guest_sleep "$work/sleep"
guest_poweroff "$work/poweroff"
truncate -s 1M "$work/a.img"

# The helper program is told by its address.
host_ip=10.$(($$ / 65536 % 256)).$(($$ / 256 % 256)).$(($$ % 253 + 1))
user="user,host_ip=$host_ip,guest_ip=${host_ip%.*}.254"
helpers() { pgrep -f "^kvik-slirp .*--host-ip $host_ip " | wc -l; }
no_helpers() { [ "$(helpers)" = 0 ]; }
if [ -x "$(dirname "$kvik")/kvik-slirp" ]; then networks=(-n "$user"); else networks=(-n none); fi

now_us() { echo $((${EPOCHREALTIME/[.,]/})); }
ready() { [ -s "$work/out.victim" ]; }

# Starts the victim; sets $pid.
start() {
	: >"$work/out.victim"
	"$kvik" run "${networks[@]}" --name victim --balloon -d "$work/a.img" -m 16M -c 1 "$work/sleep" \
		</dev/null >"$work/out.victim" 2>>"$work/errors" &
	pid=$!
}

# Kills it, and has another take its place.
replace() {
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	run run -n none --name victim -d "$work/a.img" -m 16M -c 1 "$work/poweroff"
	[ "$status:$out:$err" = 0:hello: ] || echo "$1: status $status: $out $err" >>"$work/errors"
}

# nap MICROSECONDS: more exactly than sleep(1), which must be started.
mkfifo "$work/never"
exec 7<>"$work/never"
nap() {
	local s
	printf -v s '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
	read -rt "$s" -u 7
}

# How long both take here at least, in microseconds.
start_us=1000000 end_us=1000000
for _ in 1 2 3; do
	begin=$(now_us)
	start
	until ready; do kill -0 "$pid" || break; done
	took=$(($(now_us) - begin))
	start_us=$((took < start_us ? took : start_us))
	begin=$(now_us)
	kill "$pid"
	wait "$pid"
	took=$(($(now_us) - begin))
	end_us=$((took < end_us ? took : end_us))
done
is "it starts and ends in peace" "$(sort -u "$work/errors")" "victim: ended by signal 15 (Terminated)"
: >"$work/errors"
echo "# start: $((start_us / 1000)) ms, end: $((end_us / 1000)) ms"

for ((i = 0; i < kills; i++)); do
	start
	nap $((i * start_us * 5 / 4 / kills))
	ready && at_start=${at_start-}R || at_start=${at_start-}.
	replace "start, kill $i"
done
is "the next one starts after each of $kills kills during its start" "$(<"$work/errors")" ""
echo "# R: it was ready, ${at_start}"

for ((i = 0; i < kills; i++)); do
	start
	wait_for 20 ready
	kill "$pid"
	nap $((i * end_us * 5 / 4 / kills))
	kill -0 "$pid" 2>/dev/null && at_end=${at_end-}. || at_end=${at_end-}E
	replace "end, kill $i"
done
is "and after each of $kills kills during its end" \
	"$(grep -v '^victim: ended by signal 15 (Terminated)$' "$work/errors")" ""
echo "# E: it had ended, ${at_end}"

run list -q
is "none is listed" "$status:$out" "0:"
is "none has left a file" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""
if wait_for 5 no_helpers; then pass "nor a helper"; else not_ok "nor a helper" "$(helpers) run"; fi
finish
