#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik debug and kvik stat beside what a stock kernel tells of itself.
. "$(dirname "$0")/lib.sh"
plan 13

export KVIK_RUNTIME_DIR=$work/run

# vm COMMAND [OPTION...]: the kvik command on the guest; its output in $out.
vm() {
	out=$("$KVIK" "$@" guest 2>"$work/command.err")
}

says() { [[ $out =~ $1 ]]; }
says_nothing_on_stderr() { [ ! -s "$work/command.err" ]; }

# counter VCPU NAME: of the software engine's.
counter() {
	vm stat --json
	sed -nE "s/.*\"source\":\"vcpu$1\",\"name\":\"$2\"[^}]*\"value\":([0-9]+).*/\1/p" <<<"$out"
}

# start_of FUNCTION: its address, by a line "ADDRESS  FUNCTION+OFFSET/SIZE" of the trace.
start_of() {
	[[ $out =~ ([0-9a-f]{16})\ \ $1\+(0x[0-9a-f]+)/ ]] || return
	printf '%016x' $((0x${BASH_REMATCH[1]} - BASH_REMATCH[2]))
}

# What the guest prints: the address of a function, and how many timer interrupts it had.
guest_address() { tr -d '\r' <"$work/out" | sed -n "s/ [Tt] $1\$//p"; }
guest_interrupts() { tr -d '\r' <"$work/out" | sed -nE 's/^ *[0-9]+: +([0-9]+) .*riscv-timer.*/\1/p'; }

is_idle() {
	vm debug --dump
	says ' do_idle\+0x.* cpu_startup_entry\+0x'
}

within() { # within SECONDS COMMAND...
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

start_guest '
	grep -E " [Tt] (do_idle|cpu_startup_entry|handle_exception)$" /proc/kallsyms
	grep riscv-timer /proc/interrupts
	echo told
	sleep 20
	while :; do :; done' --name guest -m 256M -c 1
ok "the guest tells where its functions are" wait_for '^told'
ok "the trace of an idle kernel" within 15 is_idle
ok "without complaints" says_nothing_on_stderr
ok "with the kernel's own symbols" says "call trace \(symbols of $kernel\):"
ok "do_idle is where the guest has it" [ "$(start_of do_idle)" = "$(guest_address do_idle)" ]
ok "cpu_startup_entry, too" [ "$(start_of cpu_startup_entry)" = "$(guest_address cpu_startup_entry)" ]
vm debug --json
ok "JSON has the symbols" says '"from":"frame","symbol":"do_idle\+0x'

# A file of the user's, whose symbols are those of a kernel that was linked elsewhere.
for function in do_idle cpu_startup_entry handle_exception; do
	printf '%016x T %s\n' $((0x$(guest_address "$function") - 0x1000000)) "$function"
done | sort >"$work/System.map"
vm debug --symbols "$work/System.map"
ok "a kernel that is not where it was linked" says "System.map, moved by 0x1000000\):.* do_idle\+0x"

before=$(guest_interrupts)
ok "the engine counts at least the timer interrupts that the guest does" \
	[ "$(counter 0 timer_interrupts)" -ge "$before" ]
ok "and no wild number" [ "$(counter 0 timer_interrupts)" -lt $((before + 20000)) ]
ok "page faults" [ "$(counter 0 load_page_faults)" -gt 0 ]

in_user_mode() {
	vm debug
	says 'call trace.*  in user mode'
}
ok "a guest in user mode" within 60 in_user_mode
vm stop --force
wait "$pid"
status=$?
ok "stop" ended_with 143
