#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The console on pipes, files, /dev/null and closed descriptors.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

for guest in poweroff echo sleep chatter; do
	guest_$guest "$work/$guest"
done

# -- input --

got=$(printf 'one two q' | timeout 20 "$kvik" run -n none "$work/echo" 2>&1)
is "input from a pipe" "$?:$got" "0:ready"$'\n'"one two q"
echo -n 'from a file q' >"$work/input"
got=$(timeout 20 "$kvik" run -n none "$work/echo" <"$work/input" 2>&1)
is "input from a file" "$?:$got" "0:ready"$'\n'"from a file q"
got=$({ sleep 0.3; printf 'late q'; } | timeout 20 "$kvik" run -n none "$work/echo" 2>&1)
is "input that comes late" "$?:$got" "0:ready"$'\n'"late q"

# More than any buffer on the way holds; the guest takes a byte at a time.
for _ in {1..3000}; do echo "0123456789abcdefghijklmnoprstuvwxyz"; done >"$work/long"
{ cat "$work/long"; printf q; } | timeout 60 "$kvik" run -n none "$work/echo" >"$work/out" 2>&1
is "no byte of a long input is lost: status" "$?" 0
is "no byte of a long input is lost" "$(tail -n +2 "$work/out" | cksum)" \
	"$({ cat "$work/long"; printf q; } | cksum)"

# The escape key is one only on a terminal.
got=$(printf '\001xq' | timeout 20 "$kvik" run -n none "$work/echo" | od -An -c | tr -d ' \n')
is "Ctrl-a x in a pipe goes to the guest" "$got" 'ready\n001xq'

# -- no input --

for input in /dev/null closed; do
	if [ $input = closed ]; then
		timeout 20 "$kvik" run -n none "$work/poweroff" <&- >"$work/out" 2>&1
	else
		timeout 20 "$kvik" run -n none "$work/poweroff" <$input >"$work/out" 2>&1
	fi
	is "stdin $input: runs to its end" "$?:$(cat "$work/out")" "0:hello"
done
# The end of the input is not the end of the guest, and costs no CPU time.
"$kvik" run -n none "$work/sleep" </dev/null >"$work/out" 2>"$work/err" &
pid=$!
wait_for 10 grep -q ready "$work/out" || not_ok "the guest starts without input"
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
before=$(cpu_ticks)
sleep 1
used=$(($(cpu_ticks) - before))
if [ $used -le 3 ]; then
	pass "a guest that sleeps without input uses no CPU"
else
	not_ok "a guest that sleeps without input uses no CPU" "$used ticks in a second"
fi
kill -TERM $pid
wait $pid
is "it ends by SIGTERM" $? 143

# -- output --

timeout 20 "$kvik" run -n none "$work/poweroff" </dev/null >&- 2>"$work/err"
is "stdout closed" "$?:$(cat "$work/err")" "0:"
timeout 20 "$kvik" run -n none "$work/poweroff" </dev/null >/dev/null 2>&-
is "stderr closed" "$?" 0
timeout 20 "$kvik" run -n none "$work/poweroff" <&- >&- 2>&-
is "all three closed" "$?" 0
timeout 20 "$kvik" run -n none "$work/poweroff" </dev/null >/dev/full 2>"$work/err"
is "stdout full: the guest runs to its end" "$?" 0

# The reader goes away: no SIGPIPE, the guest runs on.
timeout 20 "$kvik" run -n none "$work/echo" < <(sleep 0.5; printf 'abcq') 2>"$work/err" >&1 | head -c 1 >/dev/null
is "the reader of the output goes away" "${PIPESTATUS[0]}" 0

# A reader that does not read holds the guest back, not kvik.
mkfifo "$work/slow"
"$kvik" run -n none "$work/chatter" </dev/null >"$work/slow" 2>"$work/err" &
pid=$!
exec 9<"$work/slow"
sleep 0.5
kill -TERM $pid
start=$SECONDS
wait $pid
is "a reader that does not read: SIGTERM still ends kvik" "$?" 143
if [ $((SECONDS - start)) -le 2 ]; then pass "soon"; else not_ok "soon"; fi
exec 9<&-

finish
