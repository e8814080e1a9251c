#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik console: several viewers of one VM, on pipes and terminals, and hostile ones.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"
. "$here/terminal.sh"

guest_echo "$work/echo"
guest_chatter "$work/chatter"
guest_panic "$work/panic" 1

# start NAME GUEST: a VM in the background; its process is $pid.
start() {
	rm -f "$work/$1.out"
	"$kvik" run -n none --name "$1" -m 16M -c 1 "$work/$2" </dev/null >"$work/$1.out" 2>"$work/$1.err" &
	pid=$!
	wait_for 10 [ -s "$work/$1.out" ] || echo "# $1 does not start"
}

# view NAME [OPTION...]: a viewer without input, in the background; what it shows is in
# $work/NAME, its messages in $work/NAME.err, its process is $viewer.
view() {
	: >"$work/$1"
	timeout 30 "$kvik" console --read-only one "${@:2}" </dev/null >"$work/$1" 2>"$work/$1.err" &
	viewer=$!
}

shows() { wait_for 10 grep -aq "$2" "$work/$1" || not_ok "$1 shows $2" "$(cat "$work/$1")"; }

run console nobody
is "nobody to watch" "$status:$err" \
	"1:kvik console: no VM called 'nobody' runs; 'kvik list' shows those that do"
refused "which one?" "which VM\? name one" console
refused "not a time" "--linger x: give a number of seconds" console --linger x one

# -- pipes --

start one echo
view early
early=$viewer
shows early ready
run console one
is "what was printed before, and no more" "$status:$out:$err" "0:ready:"
echo "from a pipe" >"$work/typed"
input=$work/typed run console -n one --no-history
is "input from a pipe, and the answer" "$status:$out:$err" "0:from a pipe:"
shows early "from a pipe"
run console one
like "it is in the history, too" "$out" $'ready\nfrom a pipe'

timeout 10 "$kvik" console one </dev/null >/dev/full 2>"$work/full"
like "a full disk" "$?:$(<"$work/full")" '^125:.*write output: No space left on device'

# What is sent and not waited for arrives nevertheless.
printf 'in a hurry' >"$work/typed"
input=$work/typed run console one --no-history --linger 0
shows early "in a hurry"
is "input that is not waited for" "$status:$err" "0:"

for n in 1 2 3; do
	printf 'viewer %s;' $n >"$work/typed"
	input=$work/typed run console --no-history --linger 0 one
	shows early "viewer $n;"
done
pass "each of several may type"
view late --no-history
shows early 'viewer 3;'
printf '!' >"$work/typed"
until grep -q '!' "$work/late"; do # when it is there
	input=$work/typed run console --no-history --linger 0 one
	sleep 0.1
done
like "a late viewer without history" "$(<"$work/late")" '^!+$'
timeout 10 "$kvik" console one </dev/null 2>"$work/left" | head -c 1 >/dev/null
run list -q
is "viewers that leave do not end it" "$out" one
late=$viewer
view killed
shows killed ready
kill -TERM "$viewer"
wait "$viewer"
is "a signal ends a viewer" "$?:$(<"$work/killed.err")" "143:"

printf q >"$work/typed"
input=$work/typed run console --no-history one
is "the VM powers off: the status" "$status:$out:$err" \
	"0:q:kvik console: VM one: has ended: powered off"
wait "$early" "$late"
is "and the others'" "$?:$(<"$work/late.err")" "0:kvik console: VM one: has ended: powered off"
wait "$pid"
is "all have seen all" "$(cat "$work/early")" "$(cat "$work/one.out")"

# -- how the VM ends --

start one echo
view viewer
shows viewer ready
run stop --force one
wait "$viewer"
is "kvik stop: its status" "$?:$(<"$work/viewer.err")" "143:kvik console: VM one: has ended: killed"
start one echo
view viewer
shows viewer ready
kill -9 "$pid"
{ wait "$pid"; } 2>/dev/null
wait "$viewer"
like "kill -9" "$?:$(<"$work/viewer.err")" "1:.*ended without a word"
{ wait "$pid"; } 2>/dev/null

# -- hostile viewers --

start one chatter
view flooded
shows flooded 7
mkfifo "$work/stuck"
exec 7<>"$work/stuck" # whoever writes there waits for ever
for _ in 1 2 3 4; do
	timeout 30 "$kvik" console -r one </dev/null 2>/dev/null >"$work/stuck" 7<&- &
done
head -c 200000 /dev/urandom | timeout 30 "$kvik" console one >/dev/null 2>&1 &
sleep 1
size() { stat -c %s "$work/one.out"; }
before=$(size)
sleep 0.5
after=$(size)
if [ "$after" -gt "$before" ]; then pass "the VM goes on"; else not_ok "the VM goes on"; fi
begin=$(date +%s%N)
run list
took=$((($(date +%s%N) - begin) / 1000000))
if [ "$took" -lt 2000 ]; then pass "others are answered"; else not_ok "others are answered" "$took ms"; fi
is "the VM is listed" "$(grep -c '^one ' "$work/out")" 1
run stop --force one
exec 7<&-
wait
is "nothing is left" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""

# guest_sizes FILE: prints "NNN columns" as soon as its virtio console has 132 columns and 43
# rows, then 100 and 50, then 90 and 20 (virtio 1.2 4.2.2, 5.3.4: both in one word of its first
# device's configuration).
guest_sizes() {
	local size

	begin
	say $'ready\n'
	li $t0 0x10001100
	for size in 132x43 100x50 90x20; do
		label "wait$size"
		lw $t1 $t0 0
		li $t2 $((${size#*x} << 16 | ${size%x*}))
		bne $t1 $t2 "wait$size"
		say "${size%x*} columns"$'\n'
		li $t0 0x10001100
	done
	hang
	finish_image "$1"
}

# -- a terminal --

if ! has_terminals; then
	skip "on a terminal" "script(1) is not installed"
	finish
fi
cat >"$work/session" <<EOT
stty -g >$work/before
sh -c 'echo \$\$ >$work/pid; exec "\$@"' sh "$kvik" console "\$@" one
echo \$? >$work/status
stty -g >$work/after
EOT

start one echo
open_terminal
screen_shows 'Ctrl-a d leaves its console'
screen_shows ready
type_keys 'ab\003c'
screen_shows $'ab\003c'
pass "Ctrl-c goes to the guest"
type_keys '\001x'
screen_shows 'Ctrl-a d  *leave the console'
pass "Ctrl-a x lists the keys"
unlike "of which it is none" "$(<"$work/screen")" 'Ctrl-a x +end'
type_keys '\001d'
closed "Ctrl-a d" 0
run list -q
is "the VM goes on" "$out" one
open_terminal --read-only
screen_shows ab
type_keys 'zzz\001d'
closed "read-only: Ctrl-a d" 0
run console one
unlike "and nothing was typed" "$out" zzz
open_terminal
screen_shows ready
type_keys q
screen_shows 'has ended: powered off'
closed "the VM's end" 0
like "which is told on a line of its own" "$(<"$work/screen")" $'\nkvik console: VM one: has ended'
wait "$pid"

# Its size, that of one who comes later, and, when he has left, the first one's again.
guest_sizes "$work/sizes"
"$kvik" run -n none --name one -m 16M -c 1 --console virtio "$work/sizes" </dev/null >"$work/one.out" 2>&1 &
pid=$!
wait_for 10 grep -q ready "$work/one.out"
script -qefc "stty cols 132 rows 43; tty >$work/tty; exec $kvik console one" /dev/null <"$work/stuck" >/dev/null 2>&1 &
first=$!
exec 7>"$work/stuck"
sized() { wait_for 10 grep -q "$1" "$work/one.out" || not_ok "the guest's console has $1" "$(<"$work/one.out")"; }
sized '132 columns'
cat >"$work/session" <<EOT
stty cols 100 rows 50
stty -g >$work/before
$kvik console one
echo \$? >$work/status
stty -g >$work/after
EOT
open_terminal
sized '100 columns'
stty -F "$(<"$work/tty")" cols 90 rows 20
sleep 0.2
unlike "the size of the one who came last counts" "$(<"$work/one.out")" '90 columns'
type_keys '\001d'
closed "a viewer leaves" 0
sized '90 columns'
is "the guest's console has the viewers' sizes" "$(<"$work/one.out")" $'ready\n132 columns\n100 columns\n90 columns'
printf '\001d' >&7
wait "$first"
exec 7>&-
kill "$pid"
{ wait "$pid"; } 2>/dev/null
cat >"$work/session" <<EOT
stty -g >$work/before
sh -c 'echo \$\$ >$work/pid; exec "\$@"' sh "$kvik" console one
echo \$? >$work/status
stty -g >$work/after
EOT

start one echo
open_terminal
screen_shows ready
kill -TERM "$(<"$work/pid")"
closed "kill -TERM" 143
kill "$pid"
{ wait "$pid"; } 2>/dev/null

finish
