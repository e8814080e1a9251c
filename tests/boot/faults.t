#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks on a host that fails: the guest sees an error or waits, as werror= and rerror= say;
# what it has flushed is there afterwards; nothing hangs. With BOOT_BRIEF=yes on qcow2 only, which has
# more to lose (tests/disk/faults.t has the same without a guest).
. "$(dirname "$0")/isolate.sh"
isolate m "no namespace for a small file system of its own" "$@"
. "$here/lib.sh"
. "$here/../disk/faults.sh"

images=(disk.raw disk.qcow2)
[ "${BOOT_BRIEF:-}" != yes ] || images=(disk.qcow2)
plan $((8 + 30 * ${#images[@]}))
use_ext4
shim=$work/fault-shim.so
build_shim "$shim" >"$work/cc" 2>&1 || bail "cannot build the shim: $(head -n 3 "$work/cc")"
mkdir "$work/small"
mount -t tmpfs -o size=64m small "$work/small" || bail "no small file system"
trap 'umount "$work/small"; rm -rf "$work"' EXIT

# failing FAULTS IMAGE: start_guest and guest run kvik so, while $work/faulty exists.
failing() {
	cat >"$work/failing" <<-EOS
		#!/bin/sh
		export FAULTS='$1' FAULT_FILE='$2' FAULT_WHILE='$work/faulty' FAULT_LOG='$work/faulted'
		export LD_PRELOAD='$(preloads "$KVIK" "$shim")'
		exec '$KVIK' "\$@"
	EOS
	chmod +x "$work/failing"
	rm -f "$work/faulty" "$work/faulted"
}

new_image() { # new_image IMAGE: of 256 MiB
	rm -f "$1"
	case $1 in
	*.raw) truncate -s 256M "$1" ;;
	*) "$KVIK" disk create "$1" 256M ;;
	esac
}

# A guest writes files of 1 MiB, and says what is in each that it has flushed.
writes='mount -t ext4 /dev/vda /mnt
	i=0
	while [ $i -lt 24 ] && dd if=/dev/urandom of=/mnt/f$i bs=64k count=16 conv=fsync 2>/tmp/why; do
		echo "sum f$i $(md5sum </mnt/f$i)"
		i=$((i + 1))
		sleep 0.1
	done
	cat /tmp/why
	echo "errors: $(dmesg | grep -c "I/O error")"
	echo "wrote: $i"
	sync
'
made='mkfs.ext4 -q -F /dev/vda
'
# And reads them again after the crash that a failed disk is.
reads='e2fsck -p /dev/vda
	mount -t ext4 /dev/vda /mnt
	for f in /mnt/f*; do echo "sum ${f#/mnt/} $(md5sum <$f)"; done
	umount /mnt
	e2fsck -fn /dev/vda && echo "guest fsck: clean"
'

sums() {
	tr -d '\r' <"$1" | grep -a '^sum '
}

nothing_lost() { # what the first guest has flushed, in $work/flushed, the last one reads
	[ -s "$work/flushed" ] && ! grep -qvxFf <(sums "$work/out") "$work/flushed"
}

in_order() { # in_order IMAGE: what stands in no table may be counted
	case $1 in
	*.raw) return ;;
	esac
	"$KVIK" disk check -q -r leaks "$1" && "$KVIK" disk check -q "$1"
}

faults_end() {
	kill -0 "$pid" && rm "$work/faulty"
}

ends() { # the guest that runs in the background
	local i

	for ((i = 0; i < GUEST_TIMEOUT * 10; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	[ $i -lt $((GUEST_TIMEOUT * 10)) ] || kill -KILL "$pid"
	wait "$pid"
	status=$?
	[ $status = 0 ]
}

waited() { # until kvik says that the guest waits
	local end=$((SECONDS + GUEST_TIMEOUT))

	until reports 'the guest waits, until it works'; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# recovers WHAT IMAGE: a guest without faults has all that was flushed.
recovers() {
	sums "$work/out" >"$work/flushed"
	ok "$1: the image is in order" in_order "$2"
	guest "$reads" --disk "$2"
	ok "$1: what was flushed is there" nothing_lost
	ok "$1: the file system is whole" prints '^guest fsck: clean$'
}

# told WHAT FAULTS IMAGE: the guest gets the errors.
told() {
	failing "$2" "$3"
	new_image "$3"
	KVIK=$work/failing start_guest "$made$writes" --disk "$3,werror=report"
	ok "$1: the guest writes at first" wait_for '^sum f3 '
	touch "$work/faulty"
	ok "$1: the guest ends" ends
	ok "$1: it was told" prints '^wrote: ([0-9]|1[0-9]|2[0-3])$'
	ok "$1: kvik says so" reports 'warning: disk .*: (write|flush)'
	recovers "$1" "$3"
}

# waits_out WHAT FAULTS IMAGE: the guest waits, and knows nothing of it.
waits_out() {
	failing "$2" "$3"
	new_image "$3"
	KVIK=$work/failing start_guest "$made$writes" --disk "$3,werror=stop"
	ok "$1: the guest writes at first" wait_for '^sum f3 '
	touch "$work/faulty"
	ok "$1: it waits" waited
	sleep 3
	ok "$1: until the host writes again" faults_end
	ok "$1: the guest ends" ends
	ok "$1: it has written all" prints '^wrote: 24$'
	ok "$1: it saw no error" prints '^errors: 0$'
	recovers "$1" "$3"
}

# fills_up WHAT IMAGE: the host's file system is full, until something goes.
fills_up() {
	new_image "$2"
	head -c 50M /dev/zero >"$work/small/ballast"
	start_guest "$made$writes" --disk "$2,werror=stop"
	ok "$1: the guest waits" waited
	sleep 2
	rm "$work/small/ballast"
	ok "$1: the guest ends" ends
	ok "$1: it has written all" prints '^wrote: 24$'
	ok "$1: it saw no error" prints '^errors: 0$'
	recovers "$1" "$2"
	rm "$2"
}

for image in "${images[@]}"; do
	told "$image, EIO" 'write=EIO' "$work/$image"
	told "$image, flushes fail" 'sync=EIO' "$work/$image"
	waits_out "$image, ENOSPC" 'write=ENOSPC,truncate=ENOSPC' "$work/$image"
	fills_up "$image, a full host" "$work/small/$image"
done

# Reads.
truncate -s 16M "$work/source.raw"
head -c 16M /dev/urandom | dd of="$work/source.raw" conv=notrunc 2>/dev/null
failing 'read:*3=short' "$work/source.raw"
touch "$work/faulty"
KVIK=$work/failing guest 'echo "sum $(md5sum </dev/vda)"' --disk "$work/source.raw"
ok "short reads: the guest gets all" prints "^sum $(md5sum <"$work/source.raw")"
ok "short reads: there were some" [ -s "$work/faulted" ]
failing 'read@8388608-=EIO' "$work/source.raw"
touch "$work/faulty"
KVIK=$work/failing guest 'dd if=/dev/vda of=/tmp/copy bs=64k 2>&1 || echo "told"
	echo "read: $(wc -c </tmp/copy)"' --disk "$work/source.raw,rerror=report"
ok "reads fail: the guest ends" ended_with 0
ok "reads fail: the guest is told" prints '^told$'
KVIK=$work/failing start_guest 'echo "sum $(md5sum </dev/vda)"' --disk "$work/source.raw,rerror=stop"
ok "rerror=stop: the guest waits" waited
ok "rerror=stop: until the host reads again" faults_end
ok "rerror=stop: the guest ends" ends
ok "rerror=stop: it gets all" prints "^sum $(md5sum <"$work/source.raw")"
