# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the boot tests: runs guests with a stock Debian kernel, speaks TAP.
# shellcheck shell=bash
#
# KVIK is the program under test; GUEST_TIMEOUT the longest time in seconds that one
# guest may take.
set -u
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KVIK=${KVIK:-$top/kvik}
GUEST_TIMEOUT=${GUEST_TIMEOUT:-120}
files=$top/scripts/guest-files

work=$(mktemp -d "${TMPDIR:-/tmp}/kvik-boot.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# --- TAP ---

tap_count=0

plan() {
	echo "1..$1"
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

bail() {
	echo "Bail out! $*"
	exit 1
}

# ok NAME COMMAND...: passes when the command succeeds; else shows the last guest.
ok() {
	local name=$1
	shift

	tap_count=$((tap_count + 1))
	if "$@"; then
		echo "ok $tap_count - $name"
	else
		echo "not ok $tap_count - $name"
		printf '# failed: %s\n' "$*"
		show_guest
	fi
}

skip() { # skip HOW_MANY REASON
	local i

	for ((i = 0; i < $1; i++)); do
		tap_count=$((tap_count + 1))
		echo "ok $tap_count # SKIP $2"
	done
}

show_guest() {
	echo "# exit status ${status:-?}; the end of its output and of its messages:"
	tail -n 15 "$work/out" 2>/dev/null | tr -d '\r' | sed 's/^/#   /'
	tail -n 15 "$work/err" 2>/dev/null | sed 's/^/# ! /'
}

# --- guests ---

"$files" fetch 2>"$work/fetch" || {
	sed 's/^/# /' "$work/fetch"
	bail "no guest kernel: $files fetch failed"
}
kernel=$("$files" path kernel)

# use_modules MODULE... [-- FILE:PLACE...]: what the guests get from now on.
use_modules() {
	"$files" initrd "$work/base" "$top/tests/boot/init" "$@" || bail "cannot build an initrd"
}

# make_initrd COMMANDS: an initrd at $work/initrd whose init runs them. The kernel
# takes several archives one after the other.
make_initrd() {
	[ -e "$work/base" ] || use_modules
	printf '%s\n' "$1" >"$work/test.sh"
	(cd "$work" && echo test.sh | cpio --quiet -o -H newc) | cat "$work/base" - >"$work/initrd"
}

# What guests get besides: a test of networks says which.
network=(--network none)

# guest COMMANDS [OPTION...]: boots, runs the commands, and leaves the exit status in
# $status, the console in $work/out and kvik's messages in $work/err. The kernel is
# $kernel unless an option says otherwise.
guest() {
	make_initrd "$1"
	shift
	status=0
	timeout -k 5 "$GUEST_TIMEOUT" "$KVIK" run --initrd "$work/initrd" "${network[@]}" "$@" "$kernel" \
		>"$work/out" 2>"$work/err" </dev/null || status=$?
}

# start_guest COMMANDS [OPTION...]: the same in the background; $pid is kvik's.
start_guest() {
	make_initrd "$1"
	shift
	: >"$work/out"
	"$KVIK" run --initrd "$work/initrd" "${network[@]}" "$@" "$kernel" \
		>"$work/out" 2>"$work/err" </dev/null &
	pid=$!
}

# wait_for REGEX: until the console shows it.
wait_for() {
	local end=$((SECONDS + GUEST_TIMEOUT))

	until prints "$1"; do
		[ "$SECONDS" -lt "$end" ] && kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
}

# --- what is true of the last guest ---

ended_with() {
	[ "$status" = "$1" ]
}

prints() {
	tr -d '\r' <"$work/out" | grep -aqE -- "$1"
}

prints_times() { # prints_times N REGEX
	[ "$(tr -d '\r' <"$work/out" | grep -acE -- "$2")" = "$1" ]
}

reports() {
	grep -aqE -- "$1" "$work/err"
}

# --- file systems ---

# use_ext4: guests get virtio-blk, ext4, and mkfs.ext4 and e2fsck with their libraries.
use_ext4() {
	local tree lib place=lib/riscv64-linux-gnu
	local -a add=()

	tree=$("$files" extra e2fsprogs libext2fs2t64 libcom-err2 libblkid1 libuuid1 libc6 \
		2>"$work/fetch") || bail "cannot fetch e2fsprogs for the guest: $(tail -n 1 "$work/fetch")"
	for lib in libext2fs.so.2 libe2p.so.2 libcom_err.so.2 libblkid.so.1 libuuid.so.1 libc.so.6; do
		add+=("$tree/usr/$place/$lib:$place/$lib")
	done
	add+=("$tree/usr/$place/ld-linux-riscv64-lp64d.so.1:lib/ld-linux-riscv64-lp64d.so.1")
	add+=("$tree/usr/sbin/mke2fs:bin/mkfs.ext4" "$tree/usr/sbin/e2fsck:bin/e2fsck")
	use_modules virtio_mmio virtio_blk crc32c_generic ext4 -- "${add[@]}"
}

# copy_ok WHAT DISK SOURCE: a guest copies SOURCE into a new file system on DISK, as /copy,
# and reads back what was written.
copy_ok() {
	guest 'set -e
		mkfs.ext4 -q -F /dev/vda
		mount -t ext4 /dev/vda /mnt
		dd if=/dev/vdb of=/mnt/copy bs=1M
		sync
		echo 3 >/proc/sys/vm/drop_caches
		echo "checksum: $(md5sum </mnt/copy)"
		umount /mnt
		e2fsck -fn /dev/vda && echo "guest fsck: clean"
	' --disk "$2" --disk "$3,ro" --mem 512M
	ok "$1: powers off" ended_with 0
	ok "$1: has the checksum of the original" prints "^checksum: $(md5sum <"$3")\$"
	ok "$1: fsck in the guest finds nothing" prints '^guest fsck: clean$'
}

# trim_ok DISK: a guest removes that copy and discards its space.
trim_ok() {
	guest 'mount -t ext4 /dev/vda /mnt; rm /mnt/copy; sync; fstrim -v /mnt; umount /mnt' \
		--disk "$1"
	ok "fstrim: powers off" ended_with 0
	ok "fstrim: the guest could discard" prints 'trimmed'
}

# What a file takes on the host's disk, in MiB.
allocated_mib() {
	du -m "$1" | cut -f 1
}
