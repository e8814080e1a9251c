#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of a VM on KVM: its clock over a pause, and its power button.
# shellcheck disable=SC2154,SC2034

# start STEPS OPTION...: a guest in the background, which has printed $until.
start() {
	local steps=$1
	shift

	status=0 command="kvik run $*"
	: >/tmp/out
	/bin/kvik run --accel "$accel" -n none --name guest --initrd /guest/life/initrd "$@" \
		--params "quiet -- $steps" /guest/life/kernel >/tmp/out 2>/tmp/err </dev/null &
	pid=$!
	wait_until "$until"
}

wait_until() { # wait_until REGEX
	local left=$guest_timeout

	until prints "$1"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] && kill -0 "$pid" || return 1
		sleep 1
	done
}

ends() {
	wait "$pid"
	exit_status=$? status=$exit_status
}

vm() { # vm COMMAND OPTION...: leaves its status in $said
	said=0
	/bin/kvik "$@" guest >/tmp/command 2>&1 || said=$?
	sed 's/^/# /' /tmp/command
}

says() { [ "$said:$(cat /tmp/command)" = "$1" ]; }

# uptimes: the guest's, line by line, in hundredths of a second.
uptimes() {
	tr -d '\r' </tmp/out | grep -E '^(clock|tick): ' | cut -d ' ' -f 2 | tr -d .
}

# The guest takes 4 s for its ticks by its own clock, more when the host is busy, and sees
# none of the 20 s between.
clock_of() { # clock_of NAME OPTION...
	local name=$1 took
	shift

	until='^tick: '
	start "ticks" "$@"
	vm pause
	sleep 20
	vm resume
	ends
	took=$(($(uptimes | tail -n 1) - $(uptimes | head -n 1)))
	echo "# by the guest's clock it took $took hundredths of a second"
	ok "$name: the guest ends well" ended_with 0
	ok "$name: its clock saw its own time alone" [ "$took" -lt 2000 ]
	ok "$name: all its ticks" prints_times 8 '^tick: '
	ok "$name: no jump of the time of day" no_jump
	ok "$name: the kernel has no complaints" prints_times 0 '^complaints'
}

# Between a line and the next less than 15 s by both clocks.
no_jump() {
	tr -d '\r' </tmp/out | grep -E '^(clock|tick): ' | awk '
		before && ($2 - uptime > 15 || $3 - date > 15 || $2 < uptime) { bad = 1 }
		{ uptime = $2; date = $3; before = 1 }
		END { exit bad }'
}

button_of() { # button_of NAME OPTION...
	local name=$1
	shift

	until='^button: '
	start "button" "$@"
	ok "$name: the guest finds its power button" prints '^button: (Power Button|gpio-keys)$'
	sleep 2
	vm stop --timeout 100
	ends
	ok "$name: stop has it power off" says "0:guest: powered off"
	ok "$name: by its own doing" ended_with 0
	ok "$name: it was the power key" prints '^ 01 00 74 00 01 00 00 00$'
}

# The guest mostly sleeps.
is_idle() {
	local left=20

	until [ "$left" = 0 ]; do
		left=$((left - 1))
		vm debug --dump >/dev/null
		! grep -qE '  (do_idle|cpu_startup_entry)\+0x' /tmp/command || return 0
	done
	sed 's/^/# /' /tmp/command
	return 1
}

deaf_one() {
	until='^deaf$'
	start "deaf" --cpus 1
	ok "debug: the trace of an idle kernel" is_idle
	vm stop --timeout 1
	ends
	ok "a guest that does not listen is ended" says "3:guest: stopped"
	ok "with its own status" ended_with 143
}

# A VM that is started from what another tells of itself is the same.
again() {
	until='^deaf$'
	start "deaf" --cpus 2 --mem 200M --rng
	vm config
	mv /tmp/command /tmp/config
	ok "config: it tells" [ "$said:$(grep -cE '"(accel|cpus|mem|rng)"' /tmp/config)" = 0:4 ]
	vm stop --force
	ends
	: >/tmp/out
	/bin/kvik run --config /tmp/config >/tmp/out 2>/tmp/err </dev/null &
	pid=$!
	ok "config: taken back, it boots" wait_until "$until"
	vm config
	ok "config: it is the same" cmp /tmp/command /tmp/config
	vm stop --force
	ends
}

# type_in LINE SECONDS: what the console shows from then on, for that long after its last output.
type_in() {
	echo "$1" | /bin/kvik console --no-history --linger "$2" guest >/tmp/out 2>/tmp/err
}

# In the background: consoles come and go, and all who want to know learn of the end.
background() {
	local waiter events

	command="kvik run --detach" status=0
	/bin/kvik run --accel "$accel" -n none --name guest --detach --pidfile /tmp/pid --log /tmp/log \
		--initrd /guest/life/initrd --cpus 1 --params "quiet -- talk" /guest/life/kernel \
		>/tmp/out 2>/tmp/err </dev/null
	ok "background: it runs" [ "$?:$(cat /tmp/out)" = 0:guest ]
	pid=$(cat /tmp/pid)
	ok "background: the process that it names" kill -0 "$pid"
	/bin/kvik wait guest >/dev/null 2>&1 &
	waiter=$!
	/bin/kvik events --follow --json guest >/tmp/events 2>&1 &
	events=$!
	/bin/kvik console --read-only guest </dev/null >/tmp/out 2>/tmp/err &
	ok "background: a console sees it boot" wait_until '^talk'
	# shellcheck disable=SC2016
	type_in 'echo $((6 * 7))' 10
	ok "background: and takes a command" prints '^42'
	vm pause
	vm resume
	type_in 'poweroff -f' 10
	wait "$waiter"
	exit_status=$?
	ok "background: wait has the guest's status" [ "$exit_status" = 0 ]
	wait "$events"
	cp /tmp/events /tmp/out
	ok "background: events: paused, resumed, stopped" [ "$(sed -E 's/.*"event": ?"([a-z]*)".*/\1/' \
		/tmp/events | tr '\n' ' ')" = "paused resumed stopped " ]
	ok "background: its log has it all" grep -q '^42' /tmp/log
	ok "background: nothing is left" [ ! -e /tmp/pid ]
}

mkdir -p /run
[ "$brief" = yes ] || clock_of "1 vCPU" --cpus 1
clock_of "2 vCPUs" --cpus 2
button_of "power button" --cpus 1
[ -z "$other_irqchip" ] || [ "$brief" = yes ] || button_of "power button, $other_irqchip" --cpus 1 --irqchip "$other_irqchip"
deaf_one
again
background
done_testing
