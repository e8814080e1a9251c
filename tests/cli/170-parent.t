#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik run --exit-with-parent: the VM does not outlive who started it.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_sleep "$work/sleep"
guest_poweroff "$work/poweroff"
vm=("$kvik" run -m 16M -c 1 --exit-with-parent)

gone() { ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]; }
ready() { grep -q ready "$work/$1.out"; }
# The id that was written by whoever started the process.
pid_of() { wait_for 10 [ -s "$work/$1.pid" ] && cat "$work/$1.pid"; }

run run --exit-with-parent "$work/poweroff"
is "a guest that ends first" "$status:$out:$err" "0:hello:"

bash -c '"$@" & echo $! >"$0"; wait' "$work/one.pid" "${vm[@]}" -n none --name one "$work/sleep" \
	</dev/null >"$work/one.out" 2>"$work/one.err" &
parent=$!
wait_for 10 ready one
pid=$(pid_of one)
sleep 0.3
run list -q
is "it runs while its parent does" "$out" one
kill -9 "$parent"
wait "$parent" 2>/dev/null
if wait_for 10 gone "$pid"; then pass "it ends with it"; else not_ok "it ends with it"; fi
is "as by SIGTERM" "$(<"$work/one.err")" \
	$'one: the process that started it has ended\none: ended by signal 15 (Terminated)'
is "nothing is left" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""

# The shell is gone before kvik looks; in a session of its own, so that whoever takes the
# orphan in is in another one.
setsid bash -c '{ while [ -d "/proc/$$" ]; do sleep 0.02; done; exec "$@"; } & echo $! >"$0"' \
	"$work/late.pid" "${vm[@]}" -n none --name late "$work/sleep" \
	</dev/null >"$work/late.out" 2>"$work/late.err"
wait_for 10 gone "$(pid_of late)"
is "a parent that has gone already" "$(<"$work/late.err"):$(<"$work/late.out")" \
	"kvik run: --exit-with-parent: the process that started this one has ended already:"

# Whoever leads a session has left its parent's.
bash -c 'setsid "$@" & echo $! >"$0"; wait' "$work/lead.pid" "${vm[@]}" -n none --name lead \
	"$work/sleep" </dev/null >"$work/lead.out" 2>"$work/lead.err" &
parent=$!
if wait_for 10 ready lead; then pass "in a session of its own"; else not_ok "in a session of its own" "$(<"$work/lead.err")"; fi
kill -9 "$parent"
wait "$parent" 2>/dev/null
if wait_for 10 gone "$(pid_of lead)"; then pass "it ends as well"; else not_ok "it ends as well"; fi

# A thread starts it and ends; then the process does.
if command -v python3 >/dev/null; then
	python3 - "$work/thread.pid" "${vm[@]}" -n none --name thread "$work/sleep" \
		</dev/null >"$work/thread.out" 2>"$work/thread.err" 3<<-'EOF' <&3 &
		import subprocess, sys, threading, time
		def start():
		    vm = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
		    open(sys.argv[1], "w").write(str(vm.pid))
		thread = threading.Thread(target=start)
		thread.start()
		thread.join()
		time.sleep(60)
	EOF
	parent=$!
	pid=$(pid_of thread)
	wait_for 10 ready thread
	sleep 0.3
	if gone "$pid"; then not_ok "a thread's end is not its process's"; else pass "a thread's end is not its process's"; fi
	kill "$parent"
	wait "$parent" 2>/dev/null
	if wait_for 10 gone "$pid"; then pass "the process's end counts"; else not_ok "the process's end counts"; fi
else
	skip "threads" "python3 is not installed"
fi

# The programs that it has started go, too.
bash -c '"$@" & echo $! >"$0"; wait' "$work/net.pid" "${vm[@]}" -n user --name net "$work/sleep" \
	</dev/null >"$work/net.out" 2>"$work/net.err" &
parent=$!
if wait_for 10 ready net; then
	pid=$(pid_of net)
	helper=$(pgrep -P "$pid")
	like "it has a helper" "$helper" '^[0-9]+$'
	kill -9 "$parent"
	wait "$parent" 2>/dev/null
	if wait_for 10 gone "$pid" && wait_for 5 gone "$helper"; then
		pass "its helper goes with it"
	else
		not_ok "its helper goes with it"
	fi
else
	kill -9 "$parent"
	skip "helpers" "there is no user-mode networking: $(<"$work/net.err")"
fi

finish
