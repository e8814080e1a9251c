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

# with_faults FAULTS IMAGE COMMAND...
with_faults() {
	local faults=$1 image=$2
	shift 2

	rm -f faulted opened
	FAULTS=$faults FAULT_FILE=$PWD/$image FAULT_WHILE=$PWD/opened FAULT_LOG=$PWD/faulted \
		LD_PRELOAD=$(preloads "$disk_io" "$shim") timeout -k 5 120 "$@"
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
finish
