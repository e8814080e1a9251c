#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system on virtio-blk survives a 1 GiB copy, fsck and fstrim; options of --disk.
. "$(dirname "$0")/lib.sh"

plan 24
use_ext4
disk=$work/disk source=$work/source

fsck_clean() {
	/sbin/e2fsck -fn "$disk" >"$work/fsck" 2>&1
}

truncate -s 3G "$disk"
head -c 1G /dev/urandom >"$source"

copy_ok "1 GiB copy" "$disk" "$source"
ok "1 GiB copy: fsck on the host finds nothing" fsck_clean
ok "1 GiB copy: the image has grown" [ "$(allocated_mib "$disk")" -gt 1024 ]

trim_ok "$disk"
ok "fstrim: the image has shrunk" [ "$(allocated_mib "$disk")" -lt 256 ]
ok "fstrim: the file system is whole" fsck_clean

truncate -s 16M "$source"
before=$(cksum <"$source")
guest 'echo "read-only: $(cat /sys/block/vda/ro)"
	dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync || echo "not written"' \
	--disk "$source,ro"
ok ",ro: the guest knows" prints '^read-only: 1$'
ok ",ro: a write fails" prints '^not written$'
ok ",ro: the file is unchanged" [ "$(cksum <"$source")" = "$before" ]

guest 'dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
	dd if=/tmp/data of=/dev/vda bs=64k conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/vda bs=64k count=64 2>/dev/null | cmp - /tmp/data && echo "read back"' \
	--disk "$source,direct"
ok ",direct: powers off" ended_with 0
ok ",direct: what was written is read back" prints '^read back$'

disks=()
for i in 0 1 2 3 4 5; do
	truncate -s $((i + 1))M "$work/disk$i"
	disks+=(--disk "$work/disk$i")
done
guest 'for d in vda vdb vdc vdd vde vdf; do echo "$d $(cat /sys/block/$d/size)"; done' "${disks[@]}"
ok "six disks: powers off" ended_with 0
ok "six disks: the first is the first" prints '^vda 2048$'
ok "six disks: the last is the last" prints '^vdf 12288$'

guest 'cat /sys/block/vda/serial; echo; echo "queues: $(ls /sys/block/vda/mq | wc -l)"
	echo "cache: $(cat /sys/block/vda/cache_type)"
	echo "write through" >/sys/block/vda/cache_type
	echo "now: $(cat /sys/block/vda/cache_type)"
	dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
	dd if=/tmp/data of=/dev/vda bs=64k oflag=direct 2>/dev/null
	dd if=/dev/vda bs=64k iflag=direct count=64 2>/dev/null | cmp - /tmp/data && echo "read back"' \
	--disk "$source,serial=KV-1,queues=2" --cpus 2 --loglevel debug
ok "queues, serial: powers off" ended_with 0
ok "serial=: the guest sees it" prints '^KV-1$'
ok "queues=2: the guest uses both" prints '^queues: 2$'
ok "the cache is for write back" prints '^cache: write back$'
ok "the guest can have it write through" prints '^now: write through$'
ok "the data is read back" prints '^read back$'

# 20 requests of 64 KiB at 1 MiB/s, after what passes in a tenth of a second.
guest 'dd if=/dev/zero of=/dev/vda bs=64k count=1 oflag=direct 2>/dev/null
	before=$(cut -d " " -f 1 /proc/uptime)
	dd if=/dev/vda of=/dev/null bs=64k count=20 iflag=direct 2>/dev/null
	echo "$before $(cut -d " " -f 1 /proc/uptime)" | awk "{ print \"slow:\", (\$2 - \$1 > 0.9) }"' \
	--disk "$source,bw=1M"
ok "bw=: reads take their time" prints '^slow: 1$'
