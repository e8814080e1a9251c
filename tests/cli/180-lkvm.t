#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What lkvm's users type at VMs that run, option by option; root file systems; memory.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_sleep "$work/sleep"
truncate -s 1M "$work"/{a,b,c,d}.img
pids=()

# start NAME OPTIONS...: a VM that has begun to run.
start() {
	"$kvik" run -n none --name "$1" -m 16M -c 1 "${@:2}" "$work/sleep" </dev/null \
		>"$work/$1.out" 2>"$work/$1.err" &
	pids+=($!)
	wait_for 10 [ -s "$work/$1.out" ] || sed 's/^/# /' "$work/$1.err"
}

start bare
start disk --balloon -d "$work/a.img" -d "$work/b.img,ro"
start initrd -i "$work/a.img"
start other -d "$work/c.img,ro" -d "$work/d.img" -p 'quiet root=/dev/vdb1 ro'
start label -d "$work/c.img,ro" -p root=LABEL=x
start away -d "$work/c.img,ro" -p root=/dev/vdz

run list -i
is "list -i" "$status:$(wc -l <"$work/out")" "0:7"
like "is the table of VMs" "$out" '^NAME +PID +STATE'
run list --run
is "list --run" "$status:$(wc -l <"$work/out")" "0:7"
run list -r
is "list -r" "$status:$(tr -s ' ' <"$work/out")" "0:NAME ROOT SOURCE
away /dev/vdz -
bare - -
disk /dev/vda $work/a.img
initrd initrd $work/a.img
label LABEL=x -
other /dev/vdb1 $work/d.img"
run list --rootfs
is "list --rootfs" "$status:$(wc -l <"$work/out")" "0:7"
run list -i -r
is "list -i -r: both tables" "$status:$(wc -l <"$work/out"):$(grep -c ^NAME "$work/out")" "0:15:2"
run list -r --json
like "list -r --json" "$out" '"name":"disk",.*"root":\{"device":"/dev/vda","source":"'"$work/a.img"'"\}'
like "without a root" "$out" '"name":"bare",.*"root":null\}'

run stat -m -n disk
is "stat -m" "$status:$(sed 's/  [-0-9].*//; s/ *$//' "$work/out")" "0:disk
  process
    resident_memory
    minor_faults
    major_faults
  balloon
    target
    size
    returned"
run stat --memory -a
is "stat --memory -a" "$status:$(grep -c '^  process$' "$work/out")" "0:6"
run stat -m --json disk
unlike "stat -m --json" "$out" cpu_time
like "has the same" "$out" '"source":"balloon","name":"size"'
run stat -m --prometheus --all
unlike "stat -m --prometheus" "$out" cpu_time

run balloon -n disk -i 4
like "balloon -i" "$status:$out" '^0:disk: 0 MiB of 16 MiB taken, 4 MiB asked for'
run balloon -n disk -d 1
like "balloon -d" "$status:$out" '^0:disk: .*3 MiB asked for'
run pause -n bare
is "pause -n" "$status:$out" "0:bare: paused"
run pause -a
is "pause -a" "$status:$(wc -l <"$work/out")" "0:6"
run resume -n bare
is "resume -n" "$status:$out" "0:bare: running"
run resume --all
is "resume --all" "$status:$(wc -l <"$work/out")" "0:6"
run debug -d -n bare
like "debug -d" "$status:$out" '^0:.*pc'
run debug --dump --all
is "debug --dump --all" "$status" 0
run debug -m 0 -n bare
like "debug -m" "$status:$err" '^1:kvik debug: VM bare: '
run debug -s h -n bare
like "debug -s: asks the guest" "$status:$err" '^1:kvik debug: VM bare: its console takes no input'
run stop --force -n bare
is "stop -n" "$status:$out" "0:bare: stopped"
run stop -f -a
is "stop -a" "$status:$(wc -l <"$work/out")" "0:5"
wait "${pids[@]}"
finish
