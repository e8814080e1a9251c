#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Power off, reboot and the ways to die end as the manual page says.
. "$(dirname "$0")/lib.sh"

plan 15
use_modules virtio_mmio virtio_blk -- "$("$files" path busybox):bin/false"

guest 'poweroff -f'
ok "poweroff ends with status 0" ended_with 0
ok "the kernel said so" prints 'reboot: Power down'

# The disk remembers how often it was booted.
truncate -s 1M "$work/disk"
count='n=$(dd if=/dev/vda bs=1 count=1 2>/dev/null | tr -dc 0-9)
	echo "boot number ${n:-0}"
	echo $((${n:-0} + 1)) | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
	[ ${n:-0} -ge 2 ] || reboot -f'
guest "$count" --disk "$work/disk"
ok "reboot boots again, poweroff ends it" ended_with 0
ok "the first boot" prints_times 1 '^boot number 0$'
ok "the second boot" prints_times 1 '^boot number 1$'
ok "the third boot" prints_times 1 '^boot number 2$'

guest 'reboot -f' --no-reboot
ok "--no-reboot: a reboot ends with status 0" ended_with 0
ok "--no-reboot: after one boot" prints_times 1 '^init reached$'

guest 'echo c >/proc/sysrq-trigger'
ok "a crash ends with status 255" ended_with 255
ok "the reason is reported" reports 'died: Kernel panic'
ok "with the last console lines" reports '\| .*do_trap_ecall_u'

guest '' --params 'rdinit=/bin/false'
ok "init's end is a panic: status 255" ended_with 255
ok "with the last console lines" reports '\| .*Attempted to kill init'

# More arguments than a kernel takes: it panics before its console is up.
guest '' --params "-- $(seq -s ' ' 1 40)"
ok "a panic before the console is up: status 255" ended_with 255
ok "with its reason" reports 'died: Kernel panic - not syncing: Too many boot init vars'
