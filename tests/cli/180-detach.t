#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMs in the background: readiness, logs, process ids, signals, word to a service manager.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"
trap '"$kvik" stop --force --all >/dev/null 2>&1; rm -rf "$work"' EXIT

for guest in echo sleep poweroff; do guest_$guest "$work/$guest"; done
guest_panic "$work/panic" 1

begin
say $'ready\n'
get_key
say $'Kernel panic - not syncing: a key\n'
system_reset 1
hang
finish_image "$work/slow-panic"

left() { find "$KVIK_RUNTIME_DIR" -mindepth 1 -printf '%f\n' | sort | tr '\n' ' '; }
pid_of() { "$kvik" list --json | sed -nE "s/.*\"name\":\"$1\",\"pid\":([0-9]+).*/\1/p"; }
# background NAME GUEST [OPTION...]
background() { run run --detach --name "$1" -m 16M -c 1 "${@:3}" "$work/$2"; }
# says TEXT [COMMAND...]: what a viewer is answered.
says() { echo "$1" | timeout 20 "$kvik" console --no-history bg; }
gone() { ! kill -0 "$1"; }
prints() { grep -aq -e "$2" "$1"; }

# -- it runs --

background bg echo
is "its name, when it runs" "$status:$out:$err" "0:bg:"
run list -q
is "it is listed at once" "$out" bg
pid=$(pid_of bg)
is "it has a session of its own, without a terminal" \
	"$(ps -o sid=,tty= "$pid" | tr -s ' ' | sed 's/^ //')" "$pid ?"
is "and holds nothing of who started it" "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2")" \
	$'/dev/null\n/dev/null\n'"$KVIK_RUNTIME_DIR/bg.log"
is "it can be talked to" "$(says hello)" hello
timeout 20 "$kvik" wait bg & waiter=$!
wait_for 5 grep -q kvik "/proc/$waiter/cmdline"
sleep 0.3
run stop --force bg
wait "$waiter"
is "kvik wait tells its status" "$?" 143
is "nothing is left" "$(left)" ""

name=$(timeout 20 "$kvik" run --detach -n none -m 16M -c 1 "$work/sleep")
like "a name in a script" "$name" '^guest-[0-9]+$'
run stop --force "$name"

# -- it does not --

background bg none
like "a kernel that is not there" "$status:$out:$err" "^125::kvik run: .*none: No such file"
background bg echo
background bg echo
like "a name that is taken" "$status:$out:$err" "^125::kvik run: --name bg: a VM of that name runs already"
run stop --force bg
background bg echo --log "$work/none/log"
like "a log that cannot be" "$status:$err" "^125:kvik run: --log .*/none/log: open: No such file"
for log in new old; do
	[ $log = new ] || : >"$work/old"
	background bg none --log "$work/$log"
	run run --name bg --log "$work/$log" "$work/none"
done
is "a start that fails makes no log, and takes none away" \
	"$(cd "$work" && ls new old 2>/dev/null):$(wc -c <"$work/old")" "old:0"
refused "a log that takes nothing" "--log /dev/full: write: No space left" run -n none --log /dev/full "$work/echo"
ln -s "$work/target" "$work/link"
background bg none --log "$work/link"
is "nor a link to one" "$(readlink "$work/link")" "$work/target"
background bg echo --exit-with-parent
like "not with --exit-with-parent" "$status:$err" "^125:.*leave one out"
is "nothing is left" "$(left)" ""

timeout 20 "$kvik" run --detach -n none --name bg2 -m 16M -c 1 "$work/echo" >/dev/full 2>"$work/full"
is "its name cannot be told" "$?:$(<"$work/full")" \
	"125:kvik run: --detach: write the VM's name; it is ended: No space left on device"
is "it does not run" "$(left)" ""
mkfifo "$work/unread"
exec 8<>"$work/unread"
exec 9>"$work/unread"
exec 8<&-
timeout 20 "$kvik" run --detach -n none --name bg2 -m 16M -c 1 "$work/echo" >&9 2>"$work/full"
is "nor to a reader that has gone" "$?:$(<"$work/full"):$(left)" \
	"125:kvik run: --detach: write the VM's name; it is ended: Broken pipe:"
exec 9>&-
mkdir -m 777 "$work/open"
KVIK_RUNTIME_DIR=$work/open background bg echo
like "a directory that others may write to" "$status:$out:$err" "^125::kvik run: $work/open: .*others may write"

# Who waits is killed: so is what he waits for.
background bg echo
"$kvik" run --detach --name bg2 -n none -m 16M -c 1 "$work/echo" >/dev/null 2>&1 & starter=$!
kill -9 "$starter"
{ wait "$starter"; } 2>/dev/null
sleep 1
run list -q
is "the VM ends with the one who waits for it" "$out" bg
run stop --force bg
is "none is left behind" "$(left)" ""

# -- the end --

background bg poweroff
wait_for 10 gone "$(pid_of bg)"
wait_for 5 [ -z "$(left)" ]
is "a guest that powers off leaves nothing" "$status:$(left)" "0:"
background bg panic
dead() { [ "$(left)" = "bg.log " ]; }
wait_for 10 dead
is "one that dies leaves its log" "$(left)" "bg.log "
like "which says why" "$(<"$KVIK_RUNTIME_DIR/bg.log")" 'the guest died: Kernel panic'
like "with its last lines" "$(<"$KVIK_RUNTIME_DIR/bg.log")" '\| line 30'
is "for its owner only" "$(stat -c %a "$KVIK_RUNTIME_DIR/bg.log")" 600
background bg sleep
is "until the next of that name" "$(wc -c <"$KVIK_RUNTIME_DIR/bg.log")" 0
kill -9 "$(pid_of bg)"
none_listed() { [ -z "$("$kvik" list -q)" ]; }
wait_for 5 none_listed
is "nothing is left of one that is killed" "$(left)" ""
background bg panic
wait_for 10 dead
run run --name bg -m 16M -c 1 "$work/poweroff"
is "nor by one in the foreground" "$status:$(left)" "0:"

# -- logs and process ids --

log=$work/log pidfile=$work/pid
echo "what was there" >"$log"
background bg echo --log "$log" --pidfile "$pidfile"
pid=$(<"$pidfile")
is "the process's id" "$pid" "$(pid_of bg)"
wait_for 5 prints "$log" ready
is "a log is appended to" "$(head -n 1 "$log"):$(left)" "what was there:bg.lock bg.sock "
background bg2 echo --pidfile "$pidfile"
like "a file with a process id is one VM's" "$status:$err" "^125:.*belongs to a process that runs"
is "and stays" "$(<"$pidfile")" "$pid"
mv "$log" "$log.1"
kill -HUP "$pid"
wait_for 5 [ -e "$log" ]
is "SIGHUP: it goes on" "$(says again)" again
wait_for 5 prints "$log" again
is "and its log is a new one" "$(cat "$log")" again
is "for its owner only" "$(stat -c %a "$log")" 600
rm "$log"
mkdir "$log"
kill -HUP "$pid"
is "SIGHUP, and no log can be opened: it goes on" "$(says more)" more
rmdir "$log"
mkfifo "$log"
kill -HUP "$pid"
is "nor where it is a pipe that nobody reads" "$(says "and more")" "and more"
background bg2 echo --log "$log"
like "which is none to start with" "$status:$err" "^125:kvik run: --log $log: is a pipe that nobody reads"
rm "$log"
kill -HUP "$pid"
wait_for 5 [ -e "$log" ]
kill -USR1 "$pid"
wait_for 5 prints "$log" 'main: cpu_time='
like "SIGUSR1: its state" "$(<"$log")" 'bg: running, up for [0-9]+ s: riscv64, accelerator soft, 1 vCPUs, 16 MiB'
like "and what its threads count" "$(<"$log")" 'bg: \| kvik-vcpu-0: cpu_time=[0-9.e-]+'
run pause bg
kill -USR1 "$pid"
wait_for 5 prints "$log" 'bg: paused, up'
like "paused" "$(<"$log")" 'bg: paused, up for'
run resume bg
kill -TERM "$pid"
wait_for 5 gone "$pid"
like "SIGTERM ends it" "$(<"$log")" 'bg: ended by signal 15'
is "its files are gone" "$(ls "$pidfile" 2>/dev/null):$(left)" ":"

background bg sleep --log "$log.quiet" --loglevel error --pidfile "$pidfile"
kill -USR1 "$(<"$pidfile")"
wait_for 5 prints "$log.quiet" 'main: cpu_time='
like "no level silences what SIGUSR1 asks for" "$(<"$log.quiet")" 'bg: running, up for'
run stop --force bg

background bg sleep --pidfile "$pidfile"
victim=$(<"$pidfile")
kill -9 "$victim"
wait_for 20 gone "$victim"
background bg sleep --pidfile "$pidfile"
is "what a killed one left is taken over" "$status:$(<"$pidfile")" "0:$(pid_of bg)"
run stop --force bg

# In the foreground, too.
timeout 20 "$kvik" run -n none --name fg --log "$log.fg" --pidfile "$pidfile" "$work/echo" \
	< <(wait_for 10 [ -s "$pidfile" ]; printf q) >"$work/out" 2>&1
is "--log without --detach" "$?:$(<"$work/out"):$(<"$log.fg"):$(ls "$pidfile" 2>/dev/null)" $'0::ready\nq:'

# Whoever reads its messages leaves, before it has told of the guest's death.
{
	timeout 20 "$kvik" run -n none --name fg --pidfile "$pidfile" -m 16M -c 1 "$work/slow-panic" \
		< <(wait_for 10 [ -s "$pidfile" ]; sleep 0.5; printf q) 2>&1
	echo "$?" >"$work/status"
} | head -n 1 >"$work/out"
is "nobody reads on: it ends as it should" \
	"$(<"$work/out"):$(<"$work/status"):$(ls "$pidfile" 2>/dev/null):$(left)" "ready:255::"

# -- a service manager --

if command -v python3 >/dev/null; then
	export NOTIFY_SOCKET=$work/notify
	timeout 30 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
	text = s.recv(4096).decode()
	print(text, flush=True)
	if "STOPPING" in text:
		break' "$NOTIFY_SOCKET" >"$work/notes" & manager=$!
	wait_for 5 [ -S "$NOTIFY_SOCKET" ]
	background bg sleep
	pid=$(pid_of bg)
	run pause bg
	run resume bg
	run stop --force bg
	wait "$manager"
	is "the service manager is told" "$(<"$work/notes")" "READY=1
MAINPID=$pid
STATUS=The VM bg is running
STATUS=The VM bg is paused
STATUS=The VM bg is running
STOPPING=1
STATUS=The VM bg ends: killed"
	unset NOTIFY_SOCKET
else
	skip "the service manager is told" "python3 is not installed"
fi

finish
