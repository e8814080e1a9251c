#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# What comes before each script of this directory: runs guests on KVM, speaks TAP.
#
# /bin/kvik is the program under test; /guest/KERNEL/kernel and initrd are what
# add_guest (../lib.sh) put there.
guest_timeout=${guest_timeout:-120}
accel=${accel:-kvm}

# --- TAP ---

tap_count=0

# ok NAME COMMAND...: passes when the command succeeds; else shows the last guest.
ok() {
	local name=$1
	shift

	tap_count=$((tap_count + 1))
	if "$@"; then
		echo "ok $tap_count - $name"
	else
		echo "not ok $tap_count - $name"
		echo "# failed: $*"
		show_guest
	fi
}

skip() { # skip HOW_MANY REASON
	local i=0

	while [ "$i" -lt "$1" ]; do
		i=$((i + 1)) tap_count=$((tap_count + 1))
		echo "ok $tap_count # SKIP $2"
	done
}

# The last line of every script: that it is there tells that the host lived until then.
done_testing() {
	echo "1..$tap_count"
}

show_guest() {
	[ -n "$status" ] || return
	echo "# $command"
	echo "# ended with status $status; the end of its output, messages and host's log:"
	tail -n 15 /tmp/out | tr -d '\r' | sed 's/^/#   /'
	tail -n 15 /tmp/err | sed 's/^/# ! /'
	dmesg | tail -n 5 | sed 's/^/# h /'
	# Once for each guest.
	status=
}

# --- guests ---

new_disk() {
	dd if=/dev/urandom of=/tmp/disk bs=64k count=8 2>/dev/null
	truncate -s 1088K /tmp/disk
	disk_sum=$(head -c 524288 /tmp/disk | md5sum | cut -c 1-32)
}

# guest KERNEL STEPS [OPTION...]: boots it with a disk and an entropy source; leaves the
# exit status in $exit_status, the console in /tmp/out, kvik's messages in /tmp/err.
guest() {
	local kernel=$1 steps=$2
	shift 2

	new_disk
	run_kvik --initrd "/guest/${kernel%/*}/initrd" --disk /tmp/disk --rng \
		--params "quiet -- $steps" "$@" "/guest/$kernel"
}

# What guests get besides; a test of networks says which.
network="-n none"

# run_kvik OPTION...: the same for any guest.
run_kvik() {
	local begin
	begin=$(uptime_s)
	command="kvik run --accel $accel $*"
	status=0
	# shellcheck disable=SC2086 # Two words.
	timeout -k 5 "$guest_timeout" /bin/kvik run --accel "$accel" $network "$@" >/tmp/out 2>/tmp/err \
		</dev/null || status=$?
	exit_status=$status
	echo "# $(($(uptime_s) - begin)) s: $command"
}

uptime_s() {
	cut -d . -f 1 /proc/uptime
}

# --- what is true of the last guest ---

ended_with() {
	[ "$exit_status" = "$1" ]
}

prints() {
	tr -d '\r' </tmp/out | grep -qE -- "$1"
}

prints_times() { # prints_times N REGEX
	[ "$(tr -d '\r' </tmp/out | grep -cE -- "$2")" = "$1" ]
}

reports() {
	grep -qE -- "$1" /tmp/err
}

disk_is_copied() {
	[ "$(dd if=/tmp/disk bs=64k skip=8 count=8 2>/dev/null | md5sum | cut -c 1-32)" = "$disk_sum" ]
}

# --- what every stock kernel must do ---

devices_work() {
	ok "$1: the disk is read" prints "^disk has $disk_sum$"
	ok "$1: and written" disk_is_copied
	ok "$1: virtio-rng gives random bytes" prints '^virtio_rng.0 gave 64 bytes$'
}

# stock_kernel NAME KERNEL SERIAL [OPTION...]: with one vCPU and two, on the virtio console
# and the serial one (the kernel's name for it is SERIAL), through power off, reboot and
# panic, in as few boots as that takes.
stock_kernel() {
	local name=$1 kernel=$2 serial=$3
	shift 3

	guest "$kernel" "disk rng clock" --cpus 1 --console virtio "$@"
	ok "$name, 1 vCPU: power off ends with status 0" ended_with 0
	ok "$name, 1 vCPU: init on the virtio console" prints '^init reached: 1 CPUs, console hvc0$'
	devices_work "$name, 1 vCPU"
	ok "$name, 1 vCPU: user space reads the clock" prints '^the clock is read$'

	guest "$kernel" "disk rng again crash" --cpus 2 "$@"
	ok "$name, 2 vCPUs: init" prints "^init reached: 2 CPUs, console $serial$"
	devices_work "$name, 2 vCPUs"
	ok "$name, 2 vCPUs: a reboot boots again" prints '^second boot$'
	ok "$name, 2 vCPUs: once" prints_times 1 '^first boot$'
	ok "$name, 2 vCPUs: a panic ends with status 255" ended_with 255
	ok "$name, 2 vCPUs: with its reason" reports 'died: Kernel panic - not syncing: sysrq'
}
