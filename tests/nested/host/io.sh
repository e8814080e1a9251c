#!/bin/busybox sh
# shellcheck shell=dash disable=SC2034,SC2154 # lib.sh has them
# SPDX-License-Identifier: GPL-2.0-or-later
# What ../*-io.t are about: a guest with disks, and one with a network that runs until it is
# stopped. With $brief it is one guest that has a disk, too.
guest_timeout=300

# io_guest STEPS OPTION...: boots it with two vCPUs.
io_guest() {
	local steps=$1
	shift

	run_kvik --initrd /guest/io/initrd --cpus 2 --mem 384M --params "quiet -- $steps" "$@" \
		/guest/io/kernel
}

# start_guest NAME STEPS OPTION...: the same in the background; $pid is kvik's.
start_guest() {
	local name=$1 steps=$2
	shift 2

	command="kvik run --name $name $*" status='still runs'
	: >/tmp/out
	/bin/kvik run --accel "$accel" --name "$name" --initrd /guest/io/initrd \
		--params "quiet -- $steps" "$@" /guest/io/kernel >/tmp/out 2>/tmp/err </dev/null &
	pid=$!
}

# within SECONDS COMMAND...: until it succeeds.
within() {
	local end=$(($(uptime_s) + $1))
	shift

	until "$@" >/dev/null 2>&1; do
		[ "$(uptime_s)" -lt "$end" ] || return 1
		sleep 0.1
	done
}

allocated_mib() {
	du -m "$1" | cut -f 1
}

# --- disks ---

filesystem_works() { # filesystem_works WHAT DEVICE IMAGE
	ok "$1: mkfs and mount" prints "^$2: ext4$"
	ok "$1: read as written after a remount" prints "^$2: lose2 as written$"
	ok "$1: the guest discards" prints "^$2: trimmed$"
	ok "$1: and keeps the rest" prints "^$2: kept$"
	ok "$1: fsck finds nothing" prints "^$2: clean$"
	# The 8 MiB kept, and what ext4 itself wrote; without the discards 16 more.
	ok "$1: the host's file has shrunk" [ "$(allocated_mib "$3")" -lt 24 ]
	echo "# $3: $(allocated_mib "$3") MiB"
}

disk_full_is_survived() {
	local sum

	sum=$(head -c 2097152 /small/disk | md5sum | cut -c 1-32)
	ok "a full host: the guest wrote before" prints '^vdc: written$'
	ok "a full host: the guest's writes fail" prints 'write error: Input/output error|error writing.*Input/output error'
	ok "a full host: its kernel says so" prints '^vdc: the kernel saw it$'
	ok "a full host: what was written is read" prints '^vdc: as written$'
	ok "a full host: what has space is written" prints '^vdc: written again$'
	ok "a full host: the file has what the guest wrote" prints "^vdc: has $sum$"
	ok "a full host: the file's size" [ "$(stat -c %s /small/disk)" = 33554432 ]
}

disks() {
	truncate -s 256M /tmp/raw
	ok "kvik disk create" /bin/kvik disk create /tmp/qcow2 256M
	mkdir -p /small
	mount -t tmpfs -o size=8m small /small
	truncate -s 32M /small/disk

	io_guest "rawdisk qcow2disk nospace" --disk /tmp/raw,queues=2 --disk /tmp/qcow2 \
		--disk /small/disk,werror=report
	ok "disks: power off ends with status 0" ended_with 0
	ok "raw: two queues, a partition" prints '^vda: queues 2, partition of 522240$'
	filesystem_works raw /dev/vda1 /tmp/raw
	filesystem_works qcow2 /dev/vdb /tmp/qcow2
	ok "qcow2: kvik disk check finds nothing" /bin/kvik disk check /tmp/qcow2
	disk_full_is_survived
	umount /small
	rm -f /tmp/raw /tmp/qcow2
}

# --- a network ---

host_address6() {
	echo 0 >/proc/sys/net/ipv6/conf/tap0/accept_dad
	ip -6 addr add fd33::1/64 dev tap0
}

last_carrier() { # last_carrier N VALUE: the Nth line about the carrier says so
	tr -d '\r' </tmp/out | grep '^carrier: ' | sed -n "$1p" | grep -q "^carrier: $2\$"
}

# tap_works WHAT: what the guest's step tap has printed, with two pairs of queues.
tap_works() {
	ok "$1: MTU and queues" prints '^eth0: MTU 9000, queues 2$'
	ok "$1: ping" prints '^ping: answers$'
	ok "$1: ping with 8900 bytes" prints '^large ping: answers$'
	ok "$1: ping by IPv6" prints '^ping6: answers$'
	ok "$1: TCP from the host" prints '^from host: get ok 10485760 '
	ok "$1: TCP to the host" prints '^to host: put ok 10485760 '
	ok "$1: TCP by IPv6" prints '^to host6: put ok 1000000 '
	ok "$1: UDP" prints '^datagrams: udp ok 400000 '
	ok "$1: UDP in fragments" prints '^fragments: udp ok 100000 '
	tr -d '\r' </tmp/out | grep ' ok ' | sed 's/^/# /'
}

link_goes_and_comes() {
	ok "$1: TCP to the guest" within 20 netpeer get 192.168.33.15 8000 1000000
	ip link set tap0 down
	ok "$1: the guest sees the link go down" within 20 last_carrier 2 0
	ip link set tap0 up
	ok "$1: the guest sees it come back" within 20 last_carrier 3 1
	ok "$1: TCP to the guest again" within 20 netpeer get 192.168.33.15 8000 1000000
}

network() {
	if [ "$brief" = yes ]; then
		truncate -s 256M /tmp/raw
		set -- --disk /tmp/raw,queues=2
	fi
	start_guest net "${1:+rawdisk }tap serve" --cpus 2 --mem 384M --balloon \
		--network mode=tap,tapif=tap0,mtu=9000,mq=2 "$@"
	within 20 test -e /sys/class/net/tap0
	ok "tap: the interface" host_address6
	ok "tap: the guest comes up" within "$guest_timeout" last_carrier 1 1
	[ $# = 0 ] || filesystem_works raw /dev/vda1 /tmp/raw
	tap_works tap
	link_goes_and_comes tap
	control
}

# The same by the host's kernel, and once more with a driver that was loaded anew.

vhost_threads() { # vhost_threads N: the kernel's, which belong to kvik
	[ "$(grep -ls '^vhost-' /proc/"$pid"/task/*/comm /proc/[0-9]*/comm | sort -u | wc -l)" -ge "$1" ]
}

tap_packets() {
	cat /sys/class/net/tap0/statistics/rx_packets /sys/class/net/tap0/statistics/tx_packets
}

# Nothing leaves the interface, to the guest or from it.
tap_stands_still() {
	local before

	before=$(tap_packets)
	sleep 3
	[ "$(tap_packets)" = "$before" ]
}

# A transfer that is under way when the VM is paused ends as it should.
pause_in_traffic() {
	local transfer

	netpeer get 192.168.33.15 8000 150000000 >/tmp/transfer &
	transfer=$!
	sleep 0.3
	ok "vhost: pause in a transfer" /bin/kvik pause vhost
	ok "vhost: it has not ended" kill -0 "$transfer"
	ok "vhost: nothing passes" tap_stands_still
	ok "vhost: resume" /bin/kvik resume vhost
	ok "vhost: all of it arrives" wait "$transfer"
	sed 's/^/# /' /tmp/transfer
}

no_frames_counted() {
	! /bin/kvik stat --json vhost | grep -qE '"source":"net0","name":"(read|write)_'
}

# But for the link that was taken down.
no_complaints() {
	! grep -v 'link is' /tmp/err
}

vhost() {
	if [ ! -c /dev/vhost-net ]; then
		skip 1 "the host has no vhost-net"
		return
	fi
	start_guest vhost "tap reload tap serve" --cpus 2 --mem 384M \
		--network mode=tap,tapif=tap0,mtu=9000,mq=2,vhost=1
	within 20 test -e /sys/class/net/tap0
	ok "vhost: the interface" host_address6
	ok "vhost: the guest comes up" within "$guest_timeout" last_carrier 1 1
	ok "vhost: the host's kernel works for it" vhost_threads 2
	ok "vhost: the driver was loaded twice" prints '^driver: again$'
	ok "vhost: and worked twice" prints_times 2 '^from host: get ok 10485760 '
	tap_works vhost
	link_goes_and_comes vhost
	pause_in_traffic
	ok "vhost: frames are not counted" no_frames_counted
	ok "vhost: no complaints" no_complaints
	ip link delete tap0
	ok "vhost: an interface that is deleted" within 20 last_carrier 4 0
	end_guest vhost
}

user() {
	start_guest user "user serve" --cpus 1 --mem 384M \
		--network mode=user,hostfwd=tcp:127.0.0.1:2200-8000
	ok "user: the guest comes up" within "$guest_timeout" last_carrier 1 1
	ok "user: a lease by DHCP" prints '^lease: 192.168.33.15, router 192.168.33.1$'
	ok "user: ping" prints '^ping: answers$'
	ok "user: TCP from the host" prints '^from host: get ok 4000000 '
	ok "user: TCP to the host" prints '^to host: put ok 4000000 '
	ok "user: UDP" prints '^datagrams: udp ok 50000 '
	tr -d '\r' </tmp/out | grep ' ok ' | sed 's/^/# /'
	ok "user: a forwarded port" within 20 netpeer get 127.0.0.1 2200 1000000
	end_guest user
}

# Two VMs on one socket: the one that connects is there first.
wire() {
	local first

	start_guest left "left serve" --cpus 1 --mem 256M --network mode=stream,path=/tmp/wire,mtu=9000
	first=$pid
	/bin/kvik run --accel "$accel" --name right --initrd /guest/io/initrd --cpus 1 --mem 256M \
		--params "quiet -- right serve" --network mode=stream,path=/tmp/wire,listen,mtu=9000 \
		/guest/io/kernel >/tmp/right.out 2>/tmp/right.err </dev/null &
	pid=$!
	ok "wire: TCP is through" within "$guest_timeout" prints '^there: put ok 4000000 '
	ok "wire: ping with 8900 bytes" prints '^large ping: answers$'
	end_guest right
	pid=$first
	ok "wire: the other one sees the link go down" within 20 prints '^carrier: 0$'
	end_guest left
}

# end_guest NAME: ends it at once; its status is in $exit_status.
end_guest() {
	ok "stop" /bin/kvik stop --force "$1"
	# Without an answer, the test must not wait without end.
	within 20 ended || kill -KILL "$pid"
	exit_status=0
	wait "$pid" || exit_status=$?
	ok "stop: status 143" ended_with 143
}

# --- commands for the VM that runs ---

lists() { # lists REGEX
	/bin/kvik list | grep -qE "$1"
}

ended() {
	! kill -0 "$pid"
}

# The value of a metric of the first source of that name.
metric() {
	timeout 30 /bin/kvik stat --json net | tr '{' '\n' |
		sed -nE "s/.*\"source\":\"$1\",\"name\":\"$2\".*\"value\":([0-9]+).*/\1/p" | head -n 1
}

counts() { # counts NAME: of vCPU 0
	[ "$(metric vcpu0 "$1")" -gt 0 ]
}

free_mib() {
	echo $(($(metric guest free_memory) >> 20))
}

taken() { # taken MIB OF: the guest's free memory is less by about that
	[ "$(free_mib)" -lt $(($2 - $1)) ]
}

stands_still() {
	! timeout 3 netpeer get 192.168.33.15 8000 1000 >/dev/null
}

control() {
	local free

	ok "list" lists '^net +[0-9]+ +running +[a-z0-9_-]+ +kvm +2 +384M'
	ok "stat: KVM counts the vCPU's exits" counts exits
	ok "pause" /bin/kvik pause net
	ok "pause: list" lists '^net +[0-9]+ +paused'
	ok "pause: the guest stands still" stands_still
	ok "resume" /bin/kvik resume net
	ok "resume: the guest goes on" within 20 netpeer get 192.168.33.15 8000 1000000
	free=$(free_mib)
	ok "balloon: 100 MiB are taken" /bin/kvik balloon --set 100 net
	ok "balloon: the guest has less" within 60 taken 80 "$free"
	ok "balloon: and gives them back" /bin/kvik balloon --set 0 net
	end_guest net
	ok "stop: the interface is gone" [ ! -e /sys/class/net/tap0 ]
}

netpeer lo
netpeer serve 0.0.0.0 7000 >/tmp/serve4 &
netpeer serve :: 7000 >/tmp/serve6 &
for part in $parts; do
	"$part"
done
done_testing
