#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How a guest ends, and with which status.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

for guest in poweroff reboot; do
	guest_$guest "$work/$guest"
done
guest_panic "$work/panic-reset" 1
guest_panic "$work/panic-off" 0

run run "$work/poweroff" --name test
is "poweroff" "$status:$out:$err" "0:hello:"

run run "$work/reboot" --name test
is "a reset starts the guest again" "$status:$out" $'0:boot\nboot\nboot'
is "and says so each time" "$err" $'test: the guest reboots\ntest: the guest reboots'
run run "$work/reboot" -c 4
is "with 4 vCPUs as well" "$status:$out" $'0:boot\nboot\nboot'
run run "$work/reboot" --no-reboot
is "--no-reboot ends at the first reset" "$status:$out:$err" "0:boot:"
truncate -s 1M "$work/disk"
run run "$work/reboot" -d "$work/disk" --rng --console virtio
is "devices survive a reset" "$status:$out" $'0:boot\nboot\nboot'

for guest in panic-reset panic-off; do
	run run "$work/$guest" --name test
	is "$guest: status" "$status" 255
	is "$guest: the console has all of it" "$(grep -c '^line' "$work/out")" 30
	is "$guest: stderr says why first" "$(head -n 1 "$work/err")" \
		"test: the guest died: Kernel panic - not syncing: test of a panic"
	is "$guest: then the last 20 lines" "$(tail -n +2 "$work/err")" "$(
		echo "test: the last lines of its console:"
		for i in {12..30}; do echo "test: | line $i"; done
		echo "test: | Kernel panic - not syncing: test of a panic"
	)"
done
timeout 20 "$kvik" run -n none "$work/panic-off" --name test </dev/null >"$work/both" 2>&1
is "no lines twice when both go to one file" \
	"$?:$(grep -c 'line 30' "$work/both"):$(grep -c 'the guest died' "$work/both")" 255:1:1

# SBI 2.0 10.1: the reason of a shutdown can be that the system failed.
begin
say $'before\n'
system_reset 0 1
hang
finish_image "$work/failure"
run run "$work/failure" --name test
is "a system failure: status" "$status" 255
like "a system failure: stderr says why" "$err" \
	^"test: the guest died: it reported a crash"$'\n'"test: the registers of vCPU 0:"$'\n'
like "and shows pc, registers, console" "$err" 'x17 0*53525354 .*pc .*test: \| before'$

# A guest that resets without end does not flood the log.
begin
reboot
finish_image "$work/storm"
limit_s=1 run run "$work/storm"
is "a storm of resets is told of five times" "$(grep -c 'the guest reboots' "$work/err")" 5

# Only a panic makes a death of a reset.
begin
say $'about to reset\n'
reboot
finish_image "$work/quiet"
run run "$work/quiet" --no-reboot
is "a reset without a panic is no death" "$status:$err" "0:"

finish
