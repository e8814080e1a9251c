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

# Call traces, of a guest whose stack is known.
guest_stack "$work/stack" 0x410 0x520
"$kvik" run -n none --name two -m 16M -c 1 "$work/stack" </dev/null >"$work/two.out" 2>&1 &
stack_pid=$!
wait_for 10 [ -s "$work/two.out" ]
cat >"$work/map" <<-end
	0000000080200000 T _start
	0000000080200400 T inner
	0000000080200500 T outer
	0000000080200600 T beyond
end
sed 's/^00000000802/00000000902/' "$work/map" >"$work/moved"
run debug two
like "a trace without symbols" "$out" \
	'call trace \(no symbols; --symbols names a file that has them\):'$'\n''  00000000802000[0-9a-f]{2}'$'\n''  0000000080200410'$'\n''  0000000080200520$'
run debug --symbols "$work/map" --kaslr-offset 0 two
like "with those of a System.map" "$status:$out" \
	"^0:.*call trace \(symbols of $work/map\):"$'\n''  00000000802000[0-9a-f]{2}  _start\+0x[0-9a-f]+/0x400'$'\n''  0000000080200410  inner\+0x10/0x100'$'\n''  0000000080200520  outer\+0x20/0x100$'
run debug --symbols "$work/moved" --kaslr-offset 0xfffffffff0000000 two
like "of a kernel that has moved" "$out" 'moved by 0xfffffffff0000000\):.*  inner\+0x10/0x100'
run debug --symbols "$work/map" two
like "or may have" "$status:$out" '^0:.*hold only if the kernel has not moved itself.*inner\+0x10/0x100'
run debug --symbols "$work/map" --kaslr-offset 0 --json two
like "traces as JSON" "$out" \
	'"mode":"kernel","trace":\[\{"address":"[0-9a-f]{16}","from":"pc","symbol":"_start\+0x[0-9a-f]+/0x400"\},\{"address":"0000000080200410","from":"frame","symbol":"inner\+0x10/0x100"\}'
echo "ffffffffffffffff B The real System.map is in the linux-image-6.12-dbg package" >"$work/stub"
run debug --symbols "$work/stub" two
like "Debian's System.map" "$status:$err" '^1:.*/stub: has no symbols, but a note of where they are'
run debug --symbols "$work/stack" two
like "a kernel without symbols" "$status:$err" '^1:.*/stack: has no symbols: no System.map,'
run debug --symbols "$work/nothing" two
like "no such file" "$status:$err" '^1:.*/nothing: No such file'
cp "$work/map" "$work/System.map"
run debug two
like "a System.map beside the kernel" "$out" "symbols of $work/System.map,.*inner\+0x10/0x100"
refused "no offset" "is not a hexadecimal number" debug --kaslr-offset 12q two
kill "$stack_pid"
wait "$stack_pid"

run debug --nmi 0 one
is "an NMI, where there is none" "$status:$err" \
	"1:kvik debug: VM one: a vCPU of this VM has no NMI; try sysrq"
run debug --nmi 2 one
is "an NMI for nobody" "$status:$err" "1:kvik debug: VM one: it has no vCPU 2 to interrupt; give 0 to 1"
run debug --sysrq h one
is "a console that nobody reads" "$status:$err" \
	"1:kvik debug: VM one: its console takes no input now"
refused "two keys" "is not one character" debug --sysrq ab one
refused "no number" "is not the number of a vCPU" debug --nmi x one

kill "$pid"
wait "$pid"
finish
