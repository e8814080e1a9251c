#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Both consoles carry text in and out; a busy console loses nothing; entropy arrives.
. "$(dirname "$0")/lib.sh"

# talk OPTION...: a guest that asks, and what it makes of the answer.
talk() {
	mkfifo "$work/in" 2>/dev/null
	make_initrd 'echo "guest asks"; read -r answer; echo "guest heard: $answer"'
	: >"$work/out"
	"$KVIK" run --initrd "$work/initrd" "${network[@]}" "$@" "$kernel" \
		>"$work/out" 2>"$work/err" <"$work/in" &
	pid=$!
	exec 7>"$work/in"
	wait_for 'guest asks' && echo "the answer" >&7
	wait_for_end
	exec 7>&-
}

wait_for_end() {
	timeout "$GUEST_TIMEOUT" tail --pid="$pid" -f /dev/null
	kill "$pid" 2>/dev/null
	status=0
	wait "$pid" || status=$?
}

# Asks the guest's kernel for its memory by the magic SysRq key.
sysrq() {
	export KVIK_RUNTIME_DIR=$work/run
	start_guest 'echo up; sleep 100' --name guest --console "$1" -p sysrq_always_enabled
	wait_for '^up' && "$KVIK" debug guest --sysrq m && wait_for 'Mem-Info'
	"$KVIK" stop --force guest >/dev/null
	wait "$pid"
}

plan 12
use_modules virtio_mmio virtio_rng

for console in serial virtio; do
	talk --console $console
	ok "$console console: powers off" ended_with 0
	ok "$console console: input from a pipe arrives" prints 'guest heard: the answer'
	# Numbered, so that a lost or doubled piece shows.
	guest 'echo "console: $(cat /sys/class/tty/console/active)"
		seq -w 1 20000 | sed "s/^/line /"' --console $console
	ok "$console console: 20000 lines come whole" \
		[ "$(tr -d '\r' <"$work/out" | grep -a '^line' | cksum)" = \
		"$(seq -w 1 20000 | sed 's/^/line /' | cksum)" ]
done

ok "the kernel takes the virtio console" prints '^console: hvc0$'

for console in serial virtio; do
	sysrq $console
	ok "$console console: the magic SysRq key" prints 'sysrq: Show Memory'
done

guest 'cat /sys/class/misc/hw_random/rng_current
	a=$(dd if=/dev/hwrng bs=512 count=1 2>/dev/null | md5sum)
	b=$(dd if=/dev/hwrng bs=512 count=1 2>/dev/null | md5sum)
	[ "$a" != "$b" ] && echo "random enough"' --rng
ok "--rng: powers off" ended_with 0
ok "--rng: the guest has its random number generator" prints '^virtio_rng'
ok "--rng: it gives bytes" prints '^random enough$'
