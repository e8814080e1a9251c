#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The power button: a stock guest hears it, and kvik stop waits for what it does.
. "$(dirname "$0")/lib.sh"
plan 15

export KVIK_RUNTIME_DIR=$work/run
use_modules virtio_mmio virtio_input evdev

# vm COMMAND [OPTION...]: the kvik command on the guest; its status in $said, output in $out.
vm() {
	said=0
	out=$("$KVIK" "$@" guest 2>"$work/command.err") || said=$?
}

says() { [ "$said:$out" = "$1" ]; }

ends() {
	wait "$pid"
	status=$?
}

# Waits for the button, tells what it sent, and switches itself off.
listen='
	echo "button: $(cat /sys/class/input/event0/device/name)"
	dd if=/dev/input/event0 bs=24 count=1 2>/dev/null | tail -c 8 | od -An -tx1
	poweroff -f'
# Type EV_KEY, code KEY_POWER, pressed.
event='^ 01 00 74 00 01 00 00 00$'

start_guest "$listen" --name guest -m 128M -c 1
ok "a guest finds its power button" wait_for '^button: Power Button$'
sleep 0.5
vm stop
ends
ok "stop: it powers off" says "0:guest: powered off"
ok "by its own doing" ended_with 0
ok "it was the power key" prints "$event"

start_guest "$listen" --name guest -m 128M -c 1
ok "another" wait_for '^button: '
sleep 0.5
vm pause
vm stop --json
ends
ok "stop of a paused guest" says '0:{"name":"guest","state":"stopped","powered_off":true}'
ok "it powers off, too" ended_with 0

start_guest 'echo deaf; while :; do sleep 1; done' --name guest -m 128M -c 1
ok "a guest that does not listen" wait_for '^deaf$'
begin=$SECONDS
vm stop --timeout 2
ends
ok "is ended" says "3:guest: stopped"
took=$((SECONDS - begin))
ok "when its time is up" [ "$((took >= 2 && took < 20))" = 1 ]
ok "its status" ended_with 143
ok "its message" reports 'ended by kvik stop: it did not switch itself off in time'

# The most hurried of several counts.
start_guest 'echo deaf; while :; do sleep 1; done' --name guest -m 128M -c 1
wait_for '^deaf$'
"$KVIK" stop --timeout 100 guest >"$work/first" 2>&1 &
first=$!
sleep 0.5
vm stop --force
wait "$first"
said_first=$?
ends
ok "--force while another waits" says "0:guest: stopped"
ok "the other one learns of it" [ "$said_first:$(<"$work/first")" = "3:guest: stopped" ]
ok "ended hard" ended_with 143
