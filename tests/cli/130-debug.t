#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik debug: what a guest in trouble shows.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_chatter "$work/chatter"
"$kvik" run -n none --name one -m 16M -c 2 "$work/chatter" </dev/null >"$work/one.out" 2>"$work/one.err" &
pid=$!
wait_for 10 [ -s "$work/one.out" ]

run debug one
is "registers by default" "$status:$err" "0:"
is "of each vCPU" "$(grep -c '^one: vCPU [01]$' "$work/out")" 2
like "with their names and values" "$out" $'\n''x0  0{16}  x1 .*pc '
run debug --dump --json one
like "as JSON" "$out" '^\{"name":"one","vcpus":\[\{"vcpu":0,"registers":"x0 .*\},\{"vcpu":1,'
grown() { [ "$(stat -c %s "$work/one.out")" -gt "$before" ]; }
before=$(stat -c %s "$work/one.out")
if wait_for 5 grown; then pass "the guest goes on"; else not_ok "the guest goes on"; fi
run pause one
run debug one
is "registers of a paused VM" "$status:$(grep -c '^one: vCPU' "$work/out")" 0:2
before=$(stat -c %s "$work/one.out")
sleep 0.2
is "it stays paused" "$(stat -c %s "$work/one.out")" "$before"
run resume one

run debug --nmi 0 one
is "an NMI, where there is none" "$status:$err" \
	"1:kvik debug: VM one: a vCPU of this VM has no NMI; try sysrq"
run debug --nmi 2 one
is "an NMI for nobody" "$status:$err" "1:kvik debug: VM one: there is no such vCPU to interrupt"
run debug --sysrq h one
is "a console that nobody reads" "$status:$err" \
	"1:kvik debug: VM one: its console takes no input now"
refused "two keys" "is not one character" debug --sysrq ab one
refused "no number" "is not the number of a vCPU" debug --nmi x one

kill "$pid"
wait "$pid"
finish
