#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Debian root file system, with systemd, boots from virtio-blk to its login prompt.
#
# debootstrap unpacks the packages on the host; their scripts are RISC-V programs, so its
# second stage runs in a guest of kvik's. The finished image is kept in the cache. Needs
# debootstrap, and root or fakeroot.
. "$(dirname "$0")/lib.sh"

image=${XDG_CACHE_HOME:-${HOME:?}/.cache}/kvik/$("$files" show suite)-riscv64/distro.img
serial=(--mem 1G --cpus "${CPUS:-2}")

# What the guest runs in place of init for the second stage. Process 1 must not end.
second_stage='#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -o remount,rw /
if /debootstrap/debootstrap --second-stage; then
	passwd -d root
	echo kvik-distro >/etc/hostname
	rm /second-stage
	echo "second stage: done"
else
	tail -n 20 /debootstrap/debootstrap.log
fi
sync
echo u >/proc/sysrq-trigger # read-only, whoever writes
echo o >/proc/sysrq-trigger
sleep 60'

# The steps that make device files and files of root: one shell, since fakeroot forgets.
first_stage() {
	local tree=$work/tree run=bash

	[ "$(id -u)" = 0 ] || run='fakeroot bash'
	PATH=$PATH:/usr/sbin:/sbin $run -e -c '
		debootstrap --foreign --arch=riscv64 --variant=minbase --keyring="$1" \
			--include=systemd-sysv,udev,login,passwd "$2" "$3" "$4"
		printf "%s\n" "$5" >"$3/second-stage"
		chmod 755 "$3/second-stage"
		truncate -s 2G "$6"
		mke2fs -q -F -t ext4 -d "$3" "$6"' stage \
		"$("$files" show keyring)" "$("$files" show suite)" "$tree" \
		"$("$files" show mirror)" "$second_stage" "$1" >"$work/stage" 2>&1 || {
		tail -n 20 "$work/stage" | sed 's/^/# /'
		return 1
	}
	rm -rf "$tree"
}

make_image() {
	local new=$image.new

	type debootstrap &>/dev/null || skip_all "no debootstrap"
	[ "$(id -u)" = 0 ] || type fakeroot &>/dev/null || skip_all "neither root nor fakeroot"
	first_stage "$new" || bail "debootstrap failed"
	GUEST_TIMEOUT=1500 guest '' "${serial[@]}" --disk "$new" --params 'quiet -- /second-stage'
	prints '^second stage: done' || {
		show_guest
		bail "debootstrap's second stage failed in the guest"
	}
	mv "$new" "$image"
}

use_modules virtio_mmio virtio_blk crc32c_generic ext4
[ -s "$image" ] || make_image
cp --sparse=always "$image" "$work/disk"

plan 5
mkfifo "$work/in"
make_initrd ''
: >"$work/out"
"$KVIK" run --initrd "$work/initrd" "${network[@]}" "${serial[@]}" --disk "$work/disk" \
	--params '-- /sbin/init' "$kernel" >"$work/out" 2>"$work/err" <"$work/in" &
pid=$!
exec 7>"$work/in"
GUEST_TIMEOUT=${GUEST_TIMEOUT_DISTRO:-300}
ok "systemd starts" wait_for 'Welcome to .*Debian GNU/Linux'
ok "a login prompt appears" wait_for 'kvik-distro login:'
echo root >&7
wait_for 'root@kvik-distro:.*#' && echo 'systemctl is-system-running --wait; poweroff' >&7
# bash switches bracketed paste off ("2004l") before the command's output.
ok "root logs in and every unit has started" wait_for '(^|2004l)running$'
timeout "$GUEST_TIMEOUT" tail --pid="$pid" -f /dev/null
kill "$pid" 2>/dev/null
status=0
wait "$pid" || status=$?
exec 7>&-
ok "poweroff ends with status 0" ended_with 0
/sbin/e2fsck -fn "$work/disk" >"$work/fsck" 2>&1
fsck=$?
ok "the root file system is clean" [ $fsck = 0 ]
