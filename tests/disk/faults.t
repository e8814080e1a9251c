#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks on a host that fails: every request ends, what was acknowledged is there, what failed
# says so, and an image stays in order.
. "$(dirname "$0")/faults.sh"
. "$(dirname "$0")/lib.sh"

seed=${SEED:-1}
shim=$work/fault-shim.so

build_shim "$shim" >cc 2>&1 || {
	echo "Bail out! cannot build the shim: $(head -n 3 cc)"
	exit 1
}

# with_faults FAULTS IMAGE COMMAND...: while there is a file "opened".
preloads=$(preloads "$disk_io" "$shim")
with_faults() {
	local faults=$1 image=$2
	shift 2

	rm -f faulted
	FAULTS=$faults FAULT_FILE=$PWD/$image FAULT_WHILE=$PWD/opened FAULT_LOG=$PWD/faulted \
		LD_PRELOAD=$preloads timeout -k 5 120 "$@"
}

# expected REQUESTS ACKNOWLEDGED: what must be there, as requests to read it: of each sector,
# what was last acknowledged, where nothing has failed since.
expected() {
	awk -v size=$size '
		FILENAME == ARGV[1] { done[$1] = 1; next }
		$1 == "f" { next }
		{
			value = $1 == "w" ? $4 : 0
			if ($1 == "d" || !(FNR in done)) value = -1
			for (s = $2 / 512; s < ($2 + $3) / 512; s++) content[s] = value
		}
		END {
			for (s = 0; s < size / 512; s = end) {
				end = s + 1
				while (end < size / 512 && content[end] + 0 == content[s] + 0 && end < s + 1024)
					end++
				if (content[s] + 0 >= 0)
					print "r", s * 512, (end - s) * 512, content[s] + 0
			}
		}' "$2" "$1"
}

# in_order IMAGE: what stands in no table may be counted: kvik gives that back.
in_order() {
	case $1 in
	*.raw) return ;;
	esac
	qemu-img check -q "$1" >checked 2>&1 || [ $? = 3 ] &&
		"$kvik" disk check -q -r leaks "$1" && "$kvik" disk check -q "$1" &&
		qemu-img check -q "$1"
}

# suffers NAME FAULTS IMAGE OPTIONS: applies requests while that fails.
suffers() {
	local name=$1 faults=$2 image=$3 options=$4 status

	rm -f opened
	with_faults "$faults" "$image" "$disk_io" -d 16 -o opened "$image$options" \
		<listed >acknowledged 2>messages
	status=$?
	[ $status -le 1 ]
	result $? "$name: comes to an end" "status $status" "$(cat messages)"
	[ -s faulted ]
	result $? "$name: there are faults"
	[ "$(cat acknowledged <(sed -n 's/^line \([0-9]*\): .*/\1/p' messages) | sort -n | uniq | wc -l)" = \
		"$(wc -l <listed)" ]
	result $? "$name: every request ends" "$(wc -l acknowledged messages)"
	expected listed acknowledged >reads
	"$disk_io" "$image${options/,direct/}" <reads >/dev/null 2>messages
	result $? "$name: what was acknowledged is there" "$(head messages)"
	ok "$name: the image is in order" in_order "$image"
}

# survives NAME FAULTS IMAGE OPTIONS: the same, and no request fails.
survives() {
	suffers "$@"
	[ "$(wc -l <acknowledged)" = "$(wc -l <listed)" ]
	result $? "$1: and nothing fails"
}

new_image() { # new_image IMAGE
	rm -f "$1"
	case $1 in
	*.raw) truncate -s $size "$1" ;;
	v2.qcow2) qemu-img create -q -f qcow2 -o compat=0.10 "$1" $size ;;
	small.qcow2) qemu-img create -q -f qcow2 -o cluster_size=4k "$1" $size ;;
	over.qcow2) qemu-img create -q -f qcow2 -b base.raw -F raw "$1" $size ;;
	*) "$kvik" disk create "$1" $size ;;
	esac
}

head -c $size /dev/zero >base.raw
requests "$seed" 300 d >listed
for image in disk.raw disk.qcow2 v2.qcow2 small.qcow2 over.qcow2; do
	for options in ,backing ,backing,direct; do
		for faults in 'write:*7=EIO' 'write:40-200=ENOSPC,truncate:1-=ENOSPC' 'read:*3=EIO,write:*11=EIO' \
			'sync:*2=EIO' 'allocate:*2=EIO,sync:3=EIO,write:100-110=EIO'; do
			new_image $image
			suffers "$image$options, $faults" "$faults" $image "$options"
		done
		new_image $image
		survives "$image$options, short" 'write:*2=short,read:*2=short,submit:*3=short' $image \
			"$options"
	done
done

# -- commands --

touch opened
requests "$seed" 100 >plain

# How images are in order again after a repair that failed.
repaired() {
	"$kvik" disk check -q -r all "$1" && qemu-img check -q "$1"
}

# holds IMAGE: what image.raw has, as far as it reaches.
holds() {
	qemu-img convert -O raw "$1" holds.raw &&
		cmp -n "$(($(stat -c %s holds.raw) < kept ? $(stat -c %s holds.raw) : kept))" \
			holds.raw image.raw
}

# each_write_fails NAME KEPT IN-ORDER COMMAND...: the command changes changed.qcow2, a copy of
# image.qcow2. Of its writes each fails once, alone or with all that follow. It says so,
# and the image is IN-ORDER, and has what it had in its first KEPT bytes.
each_write_fails() {
	local name=$1 kept=$2 in_order=$3 fault k status
	local -i silent=0 broken=0 lost=0 faults=0
	shift 3

	for ((k = 1; k < 400; k += 1 + k / 8)); do
		for fault in "write:$k=EIO" "write:$k-=EIO"; do
			cp --sparse=always image.qcow2 changed.qcow2
			with_faults "$fault" changed.qcow2 "$@" >messages 2>&1
			status=$?
			[ -s faulted ] || break 2
			faults+=1
			[ $status = 125 ] || silent+=1
			$in_order changed.qcow2 >disorder 2>&1 || { cp disorder first-disorder; broken+=1; }
			holds changed.qcow2 || lost+=1
		done
	done
	[ $faults -gt 0 ] && [ $silent = 0 ] && [ $broken = 0 ] && [ $lost = 0 ]
	result $? "$name: $faults faults" "$silent silent, $broken broken, $lost lost something" \
		"$(cat first-disorder 2>/dev/null)"
}

new_image small.qcow2
kvik_applies small.qcow2 plain
mv small.qcow2 image.qcow2
qemu-img convert -O raw image.qcow2 image.raw
each_write_fails "resize, larger" $size in_order "$kvik" disk resize changed.qcow2 900M
each_write_fails "resize, smaller" $((size / 2)) in_order "$kvik" disk resize --shrink changed.qcow2 \
	$((size / 2))

# Its refcounts are gone; by the header (bytes 48 to 55), the first table entry has a block.
table=$((16#$(od -An -tx1 -j48 -N8 image.qcow2 | tr -d ' \n')))
block=$((16#$(od -An -tx1 -j$table -N8 image.qcow2 | tr -d ' \n')))
dd if=/dev/zero of=image.qcow2 bs=1 seek=$block count=2048 conv=notrunc 2>messages
each_write_fails "repair" $size repaired "$kvik" disk check -q -r all changed.qcow2

# A file that is not complete does not appear, nor in place of another.
for how in 'write:9=EIO' 'write:1-=ENOSPC' 'truncate=ENOSPC' 'read:30=EIO' 'sync=EIO'; do
	for there in "" --force; do
		rm -f changed.qcow2
		[ -z "$there" ] || echo old >changed.qcow2
		with_faults "$how" . "$kvik" disk convert -q $there -O qcow2 image.qcow2 changed.qcow2 \
			>messages 2>&1
		[ $? = 125 ] && [ -s faulted ]
		result $? "convert $there, $how: says so" "$(cat messages)"
		[ "$(cat changed.qcow2 2>/dev/null)" = "${there:+old}" ]
		result $? "convert $there, $how: leaves nothing else" "$(ls)"
	done
done
finish
