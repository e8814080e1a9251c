#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system on a qcow2 disk: copy, fsck, fstrim; and on overlays over it.
. "$(dirname "$0")/lib.sh"

plan 18
use_ext4
disk=$work/disk.qcow2 over=$work/over.qcow2 source=$work/source

check_clean() {
	"$KVIK" disk check -q "$1"
}

fsck_clean() {
	"$KVIK" disk convert -q --allow-backing --force -O raw "$1" "$work/raw" &&
		/sbin/e2fsck -fn "$work/raw" >"$work/fsck" 2>&1
}

"$KVIK" disk create "$disk" 1G
head -c 256M /dev/urandom >"$source"

copy_ok "copy" "$disk" "$source"
ok "copy: fsck on the host finds nothing" fsck_clean "$disk"
ok "copy: the image is in order" check_clean "$disk"
ok "copy: the image has grown" [ "$(allocated_mib "$disk")" -gt 256 ]

before=$(cksum <"$disk")
"$KVIK" disk create -F qcow2 -b disk.qcow2 "$over"
remove='mount -t ext4 /dev/vda /mnt && rm /mnt/copy && echo "removed" && date >/mnt/new
	sync; umount /mnt; e2fsck -fn /dev/vda && echo "guest fsck: clean"'
guest "$remove" --disk "$disk,snapshot"
ok ",snapshot: the guest can write" prints '^removed$'
ok ",snapshot: to a file system that is whole" prints '^guest fsck: clean$'
ok ",snapshot: and nothing of it is left" [ "$(cksum <"$disk")" = "$before" ]
guest "$remove" --disk "$over,backing=allow"
ok "overlay: the guest can write" prints '^removed$'
ok "overlay: the image under it is as before" [ "$(cksum <"$disk")" = "$before" ]
ok "overlay: fsck on the host finds nothing" fsck_clean "$over"
ok "overlay: the image is in order" check_clean "$over"

trim_ok "$disk"
ok "fstrim: the image has shrunk" [ "$(allocated_mib "$disk")" -lt 64 ]
ok "fstrim: the image is in order" check_clean "$disk"
ok "fstrim: the file system is whole" fsck_clean "$disk"
