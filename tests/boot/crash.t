#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik killed in the middle of writes: the journal brings the file system back, with all
# that the guest was told is on the disk.
. "$(dirname "$0")/lib.sh"

rounds=4
plan $((1 + 3 * rounds))
use_ext4
disk=$work/disk

truncate -s 256M "$disk"
guest 'mkfs.ext4 -q -F /dev/vda' --disk "$disk"
ok "a file system is made" ended_with 0

# A background writer keeps the journal busy; the foreground numbers its files and says
# which of them were flushed.
writer='mount -t ext4 /dev/vda /mnt
	rm -rf /mnt/*
	mkdir -p /mnt/numbered
	while :; do
		dd if=/dev/zero of=/mnt/big bs=1M count=32 2>/dev/null
		rm /mnt/big
	done &
	n=0
	while :; do
		n=$((n + 1))
		echo "content $n" | dd of=/mnt/numbered/$n conv=fsync 2>/dev/null
		sync /mnt/numbered
		echo "flushed $n"
	done'

flushed() {
	tr -d '\r' <"$work/out" | sed -n 's/^flushed \([0-9]*\)$/\1/p' | tail -n 1
}

# Reads every flushed file out of the image.
all_there() {
	local i last

	last=$(flushed)
	[ -n "$last" ] || return 1
	for ((i = 1; i <= last; i++)); do
		echo "cat /numbered/$i"
	done >"$work/commands"
	/sbin/debugfs -f "$work/commands" "$disk" 2>/dev/null | grep '^content' |
		cmp -s - <(seq -f 'content %.0f' 1 "$last")
}

for ((round = 1; round <= rounds; round++)); do
	start_guest "$writer" --disk "$disk"
	wait_for "flushed $((round * 10))\$"
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	status=$?
	ok "round $round: killed while it wrote" ended_with 137
	# 0: nothing to do but the journal; 1: corrected (counters that a journal leaves).
	/sbin/e2fsck -p "$disk" >"$work/fsck" 2>&1
	recovered=$?
	ok "round $round: the journal recovers it" [ "$recovered" -le 1 ]
	ok "round $round: everything flushed is there" all_there
done
