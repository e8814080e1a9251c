#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Signals that end the VM.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_sleep "$work/sleep"
guest_chatter "$work/chatter"

# start COMMAND...: runs it in the background until the guest has said something.
start() {
	: >"$work/out"
	"$@" </dev/null >"$work/out" 2>"$work/err" &
	pid=$!
	wait_for 10 test -s "$work/out" || not_ok "the guest starts"
}

# ended NAME STATUS
ended() {
	local begun=$SECONDS got

	wait $pid
	got=$?
	is "$1" "$got" "$2"
	[ $((SECONDS - begun)) -le 3 ] || not_ok "$1: soon" "took $((SECONDS - begun)) s"
}

# A script's background jobs start with SIGINT and SIGQUIT ignored.
default=(env --default-signal=INT --default-signal=QUIT)

for signal in TERM INT HUP QUIT; do
	number=$(kill -l $signal)
	start "${default[@]}" "$kvik" run -n none "$work/sleep" --name test
	kill -$signal $pid
	ended "SIG$signal" $((128 + number))
	like "SIG$signal is named" "$(cat "$work/err")" "^test: ended by signal $number "
done

start "${default[@]}" "$kvik" run -n none "$work/chatter" -c 4
kill -TERM $pid
ended "SIGTERM to a busy guest" 143

for signal in INT QUIT HUP; do
	start env --ignore-signal=$signal "$kvik" run -n none "$work/sleep"
	kill -$signal $pid
	sleep 0.3
	if kill -0 $pid; then
		pass "SIG$signal ignored at the start stays ignored"
	else
		not_ok "SIG$signal ignored at the start stays ignored"
	fi
	kill -TERM $pid
	ended "and SIGTERM ends it" 143
done

start "$kvik" run -n none "$work/sleep" -c 2
kill -TERM $pid
kill -TERM $pid 2>/dev/null
wait $pid
like "two signals in a row" $? '^143$'

finish
