#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Running VMs: list, pause, resume, stop.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_sleep "$work/sleep"
guest_chatter "$work/chatter"
pids=()

# start NAME GUEST: a VM that has begun to run.
start() {
	rm -f "$work/$1.out"
	"$kvik" run -n none --name "$1" -m 16M -c 1 "$work/$2" </dev/null >"$work/$1.out" 2>"$work/$1.err" &
	pids+=($!)
	wait_for 10 [ -s "$work/$1.out" ] || echo "# $1 does not start"
}

sockets() { find "$KVIK_RUNTIME_DIR" -type s | wc -l; }

run list
is "nothing to list" "$status:$err:$(wc -l <"$work/out")" "0::1"
run list -q --json
is "not even a heading" "$status:$out" "0:"
run stop nobody
is "nobody to stop" "$status:$err" "1:kvik stop: no VM called 'nobody' runs; 'kvik list' shows those that do"
run stop --all
is "none at all" "$status:$err" "0:kvik stop: no VM runs"
refused "which one?" "which VM\?" pause
refused "one or all" "which VM\?" pause one --all

start one sleep
start two chatter
run list
like "list: a VM" "$out" $'\n'"one +${pids[0]} +running +riscv64 +soft +1 +16M +[0-9]+s +$work/sleep"
is "list: both" "$(wc -l <<<"$out")" 3
run list -q
is "list: names" "$out" $'one\ntwo'
run list --json
like "list: JSON" "$out" "\"name\":\"two\",\"pid\":${pids[1]},\"state\":\"running\".*\"memory_bytes\":16777216"
run run -n none --name one "$work/sleep"
is "a name is given once" "$status:$err" \
	"125:kvik run: --name one: a VM of that name runs already (process ${pids[0]}); stop it or choose another name"
run stop on
like "the nearest name" "$err" "no VM called 'on' runs; did you mean 'one'\?"

run pause two
is "pause" "$status:$out" "0:two: paused"
sleep 0.2 # what was under way to the file
before=$(stat -c %s "$work/two.out")
sleep 0.3
is "a paused guest does nothing" "$(stat -c %s "$work/two.out")" "$before"
run list
like "it is shown as paused" "$out" $'\n''two +[0-9]+ +paused'
run pause -n two --json
is "pause again" "$status:$out" '0:{"name":"two","state":"paused"}'
run resume two
is "resume" "$status:$out" "0:two: running"
grown() { [ "$(stat -c %s "$work/two.out")" -gt "$before" ]; }
if wait_for 5 grown; then pass "it goes on"; else not_ok "it goes on"; fi

# Both come at once, and the second undoes what the first has not brought about.
SECONDS=0 answers=
for _ in 1 2 3 4 5; do
	kill -STOP "${pids[1]}"
	timeout 20 "$kvik" pause two >/dev/null & pauser=$!
	timeout 20 "$kvik" resume two >/dev/null & resumer=$!
	sleep 0.05
	kill -CONT "${pids[1]}"
	wait "$pauser" && wait "$resumer" && answers+=.
done
is "pause and resume at once: both are answered" "$answers:$((SECONDS < 5))" .....:1
run resume two

run stat one --json
like "stat: JSON" "$out" '^\{"name":"one","metrics":\[\{"source":"process","name":"resident_memory","type":"instant","unit":"bytes","value":[0-9]+\}'
like "stat: the engine's counters" "$out" '"source":"vcpu0","name":"exits","type":"cumulative","unit":"none","value":[0-9]+'
like "of the guest's calls" "$out" '"source":"vcpu0","name":"ecall_exit_stat","type":"cumulative","unit":"none","value":1\}'
like "and its sleep" "$out" '"source":"vcpu0","name":"wfi_exit_stat","type":"cumulative","unit":"none","value":[1-9]'
like "a histogram" "$out" '"name":"halt_wait_hist","type":"log","unit":"seconds","exponent10":-9,"buckets":\['
run stat two
like "stat: a table" "$out" ^two$'\n'.*kvik-vcpu-0$'\n'' +cpu_time +[0-9.]+ (s|ms)'
run stat --all --prometheus
is "stat: Prometheus has each name once" "$(grep '^# TYPE' "$work/out" | sort | uniq -d)" ""
is "and both VMs" "$(grep -c '^kvik_cpu_time_seconds_total{vm="[a-z]*",source="kvik-vcpu-0"} [0-9.e-]*$' "$work/out")" 2
limit_s=1 run stat one --watch 0.1
is "stat: a number of seconds" "$status" 125
refused "stat: all the time" '--watch 0: give at least one second' stat one --watch 0

# A longer pause than any host keeps a thread waiting for.
guest_clock "$work/clock"
start clock clock
run pause clock
sleep 2
run resume clock
sleep 0.3
run stop --force clock
wait "${pids[-1]}"
unset 'pids[-1]'
is "the guest's clock stands still during a pause" "$(<"$work/clock.out")" ready

run stop one --timeout 1
is "a guest without a driver for its power button" "$status:$out:$err" \
	"1::kvik stop: VM one: the guest has no driver for its power button (virtio_input); --force ends it without asking"
run list -q
is "goes on" "$out" $'one\ntwo'
refused "not a time" "--timeout 1s: give a number of seconds" stop one --timeout 1s
refused "nor that" "--timeout -1: give a number of seconds" stop one --timeout -1
refused "nor 2^32 and one" "--timeout 4294967297: give a number of seconds, up to 1000000" \
	stop one --timeout 4294967297

run pause --all
is "pause all" "$status:$out" $'0:one: paused\ntwo: paused'
timeout 20 "$kvik" events one >"$work/events" &
follower=$!
timeout 20 "$kvik" wait one 2>/dev/null &
waiter=$!
run wait one --for paused
is "wait: it is paused" "$status:$out:$err" "0::"
timeout 20 "$kvik" wait --for running --json one >"$work/running" &
resumer=$!
run resume one
wait "$resumer"
is "wait: it is running" "$?:$(<"$work/running")" '0:{"name":"one","state":"running","status":0}'
refused "wait: another state" "is not a state; use stopped" wait --for asleep one
refused "events: of one VM" "'one' and 'two': .*name one\$" events one two
run stop --force one nobody
wait "$waiter"
is "wait: its status" "$?" 143
wait "$follower"
is "events: until the end" "$?" 0
like "events: what happened" "$(<"$work/events")" \
	'resumed \{\}'.*'stopped \{"reason":"killed","status":143\}'
is "one of two names" "$status:$out" "1:one: stopped"
wait "${pids[0]}"
is "a stopped VM's status" "$?" 143
is "it says by whom" "$(<"$work/one.err")" "one: ended by kvik stop"
start one sleep
run stop --force --all --json
is "stop all, a paused one too" "$status:$out" \
	$'0:{"name":"one","state":"stopped","powered_off":false}\n{"name":"two","state":"stopped","powered_off":false}'
wait
is "nothing is left" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""

# What a killed VM leaves. Of its sockets one listens, and the other is the waiter's; no other
# test has that name.
killed=killed-$$
is_waited_for() { [ "$(grep -c "/$killed\.sock$" /proc/net/unix)" = 2 ]; }
start "$killed" sleep
timeout 20 "$kvik" wait "$killed" 2>"$work/waiter" &
waiter=$!
wait_for 20 is_waited_for
sleep 0.3 # until it has asked
kill -9 "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null
wait "$waiter"
is "wait: a VM that is killed" "$?:$(<"$work/waiter")" \
	"1:kvik wait: VM $killed: has ended without a word (killed?); its status is not known"
is "a killed VM leaves its socket" "$(sockets)" 1
run list -q
is "but is not listed" "$status:$out:$(sockets)" "0::0"
start "$killed" sleep
kill -9 "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null
start "$killed" sleep
run list -q
is "its name can be taken" "$out" "$killed"
kill "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null
is "SIGTERM leaves nothing" "$(find "$KVIK_RUNTIME_DIR" -mindepth 1)" ""

"$kvik" run -n none --balloon --name one -m 16M -c 1 "$work/sleep" </dev/null >"$work/one.out" 2>&1 &
pids+=($!)
wait_for 10 [ -s "$work/one.out" ]
run balloon --set 4 one
run balloon --inflate 8796093022207 one
like "balloon: more than numbers can say" "$status:$err" '1:.*larger than its memory of 16 MiB'
kill "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null

cp "$work/sleep" "$work/"$'k\xfcche'
start one $'k\xfcche'
run list
like "list: a path that is not UTF-8" "$out" 'one +[0-9]+ +running .*/k\?che'
kill "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null

# A VM runs also where it can have no socket.
guest_poweroff "$work/poweroff"
KVIK_RUNTIME_DIR=here run list
is "a directory must be absolute" "$status:$err" \
	"1:kvik list: KVIK_RUNTIME_DIR=here: is no absolute path; give one"
KVIK_RUNTIME_DIR=/proc/none run run -n none "$work/poweroff"
is "without a directory for sockets" "$status:$out" "0:hello"
like "it warns" "$err" "cannot reach this VM"
mkdir -m 777 "$work/open"
KVIK_RUNTIME_DIR=$work/open run run --name open -n none "$work/poweroff"
is "a directory that others may write to" "$status:$(grep -c 'others may write' "$work/err")" "0:1"

finish
