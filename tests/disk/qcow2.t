#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# qcow2 images as kvik and as QEMU's tools see and change them.
. "$(dirname "$0")/lib.sh"

seed=${SEED:-1}
requests "$seed" 300 d >with-discards
requests $((seed + 1)) 300 >plain

# -- every layout --

for layout in cluster_size=512 cluster_size=4k,refcount_bits=1 cluster_size=64k \
	cluster_size=2M,refcount_bits=64 cluster_size=64k,compat=0.10; do
	qemu-img create -q -f qcow2 -o $layout a.qcow2 $size
	qemu-img create -q -f qcow2 -o $layout b.qcow2 $size
	both "$layout" a.qcow2 b.qcow2 with-discards
	ok "$layout: QEMU's image, read by kvik" as_read_by_kvik b.qcow2
done
"$kvik" disk create --force a.qcow2 $size
qemu-img create -q -f qcow2 b.qcow2 $size
both "made by kvik" a.qcow2 b.qcow2 with-discards
ok "QEMU goes on with it" qemu_applies a.qcow2 plain
ok "as with its own" qemu_applies b.qcow2 plain
ok "to the same end" qemu-img compare -q a.qcow2 b.qcow2
ok "direct I/O: kvik writes" kvik_applies a.qcow2,direct with-discards
ok "direct I/O: QEMU writes" qemu_applies b.qcow2 with-discards
ok "direct I/O: the same content" qemu-img compare -q a.qcow2 b.qcow2
ok "direct I/O: qemu-img check" qemu-img check -q a.qcow2

# -- what is underneath --

head -c $((size / 2)) /dev/urandom >base.raw # shorter than what stands on it
qemu-img create -q -f qcow2 -b base.raw -F raw middle.qcow2 $size
qemu-io -c "write -q -P 77 1M 3M" -c "write -q -z 5M 1M" -c "write -q -P 78 20M 1000k" middle.qcow2
for layout in cluster_size=4k cluster_size=64k; do
	for base in base.raw:raw middle.qcow2:qcow2; do
		for image in a b; do
			qemu-img create -q -f qcow2 -o $layout -b "${base%:*}" -F "${base#*:}" \
				$image.qcow2 $size
		done
		both "$layout on $base" a.qcow2 b.qcow2 with-discards
		ok "$layout on $base: read by kvik" as_read_by_kvik b.qcow2
	done
done
# What version 2 does with a discard is up to who does it.
for image in a b; do
	qemu-img create -q -f qcow2 -o compat=0.10 -b base.raw -F raw $image.qcow2 $size
done
both "version 2 on base.raw" a.qcow2 b.qcow2 plain
sum=$(cksum base.raw middle.qcow2)
"$disk_io" -d 16 middle.qcow2,backing,snapshot <with-discards >/dev/null 2>messages
result $? "snapshot: kvik writes" "$(cat messages)"
[ "$sum" = "$(cksum base.raw middle.qcow2)" ]
result $? "snapshot: the image is as before"

# -- compressed clusters, snapshots, clusters without entries --

for kind in zlib zstd; do
	qemu-img convert -c -O qcow2 -o compression_type=$kind middle.qcow2 a.qcow2
	ok "$kind: QEMU's image, read by kvik" as_read_by_kvik a.qcow2
	cp a.qcow2 b.qcow2
	both "$kind, written over" a.qcow2 b.qcow2 with-discards
	"$kvik" disk convert -q -c --compression $kind --allow-backing --force middle.qcow2 a.qcow2
	ok "$kind: packed by kvik" qemu-img compare -q middle.qcow2 a.qcow2
	ok "$kind: qemu-img check" qemu-img check -q a.qcow2
done
qemu-img create -q -f qcow2 a.qcow2 $size
qemu_applies a.qcow2 plain
qemu-img convert -O raw a.qcow2 before.raw
qemu-img snapshot -c one a.qcow2
cp a.qcow2 b.qcow2
both "with a snapshot" a.qcow2 b.qcow2 with-discards
qemu-img snapshot -a one a.qcow2
ok "back to the snapshot" qemu-img compare -q -f qcow2 -F raw a.qcow2 before.raw
ok "back to the snapshot: kvik disk check" "$kvik" disk check -q a.qcow2
qemu-img snapshot -d one a.qcow2
ok "without it: kvik disk check" "$kvik" disk check -q a.qcow2
for how in metadata falloc; do
	qemu-img create -q -f qcow2 -o preallocation=$how a.qcow2 $size
	qemu-img create -q -f qcow2 b.qcow2 $size
	both "preallocation=$how" a.qcow2 b.qcow2 with-discards
done
qemu-img create -q -f qcow2 -o lazy_refcounts=on a.qcow2 $size
qemu-io -c "write -q -P 5 0 2M" -c "sigraise 9" a.qcow2 >/dev/null 2>&1
"$disk_io" a.qcow2 <plain >/dev/null 2>messages
result $? "QEMU's image that was not closed: kvik writes" "$(cat messages)"
grep -q 'was not closed' messages
result $? "and says what it did about it" "$(cat messages)"
ok "and it is in order" qemu-img check -q a.qcow2

# -- space --

qemu-img create -q -f qcow2 a.qcow2 $size
printf '%s\n' "w 0 $size 1" "f" "d 0 $size" "f" >all
ok "all written and discarded" kvik_applies a.qcow2 all
[ "$(stat -c %b a.qcow2)" -lt 4096 ]
result $? "gives the space back" "$(stat a.qcow2)"

# -- kills --

qemu-img create -q -f qcow2 a.qcow2 $size
qemu-img create -q -f qcow2 b.qcow2 $size
kill_rounds "kills" a.qcow2 b.qcow2 5 200 "$seed"
for image in a b; do
	qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 $image.qcow2 $size
done
kill_rounds "kills, on a backing file" a.qcow2 b.qcow2 5 200 "$seed"
finish
