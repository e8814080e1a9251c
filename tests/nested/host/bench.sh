#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures kvik and lkvm in turns; prints "figure MONITOR NAME VALUE". $rounds is how
# often, $parts what.
# shellcheck disable=SC2154
guest_mib=256
dd if=/dev/zero of=/tmp/disk bs=1M count=64 2>/dev/null

# measure MONITOR GAUGE-OPTIONS KERNEL-PARAMETERS OPTION...
measure() {
	local monitor=$1 options=$2 params=$3
	shift 3

	case $monitor in
	kvik)
		set -- run --accel kvm --cpus 1 --mem "${guest_mib}M" --no-reboot \
			--initrd /guest/initrd --params "quiet $params" "$@" /guest/kernel
		;;
	lkvm)
		set -- run -c 1 -m "$guest_mib" --console serial -i /guest/initrd \
			-p "console=ttyS0 panic=-1 quiet $params" "$@" -k /guest/kernel
		;;
	esac
	# shellcheck disable=SC2086
	timeout 300 gauge $options "$guest_mib" BENCH-INIT "$monitor" "$@" </dev/null \
		>/tmp/figures || echo "# $monitor $options $params: no guest came up"
	# With devices there are more exits than without: only what the guest measured counts.
	case $params in
	bench=net) sed -n "s/^net-/$part-/p" /tmp/figures ;;
	bench=*) grep -e '-per-s ' -e '-per-gib ' /tmp/figures ;;
	*notests*) sed -n 's/^init_ms/init_tested_ms/p' /tmp/figures ;;
	*) cat /tmp/figures ;;
	esac | sed "s/^/figure $monitor /"
}

# -- commands for a VM that runs --

export HOME=/tmp # lkvm's directory of sockets

# start_idle MONITOR: $pid is that of one whose guest does nothing.
start_idle() {
	case $1 in
	kvik)
		kvik run --accel kvm --cpus 1 --mem "${guest_mib}M" -n none --balloon --name bench \
			--initrd /guest/initrd --params "quiet bench=idle" /guest/kernel \
			</dev/null >/tmp/idle 2>&1 &
		;;
	lkvm)
		lkvm run -c 1 -m "$guest_mib" --console serial --balloon --name bench \
			-i /guest/initrd -p "console=ttyS0 panic=-1 quiet bench=idle" \
			-k /guest/kernel </dev/null >/tmp/idle 2>&1 &
		;;
	esac
	pid=$!
	until grep -q BENCH-IDLE /tmp/idle; do
		kill -0 "$pid" || return 1
		sleep 1
	done
	sleep 2
}

# take MONITOR NAME COMMAND...: one figure, or with $ending two.
take() {
	local monitor=$1 name=$2
	shift 2

	# shellcheck disable=SC2086
	if ! timeout 20 took $ending "$@" >/tmp/took 2>/tmp/took.err; then
		echo "# $* failed: $(tail -n 1 /tmp/took.err)"
		return 1
	fi
	# shellcheck disable=SC2046
	set -- $(cat /tmp/took)
	[ -z "$2" ] || echo "figure $monitor ${name}_gone_ms $2"
	echo "figure $monitor ${name}_ms $1"
}

kill_idle() {
	kill -9 "$pid" 2>/dev/null
	wait "$pid" || :
}

# The guest is not asked to end: kvmtool does not do that.
measure_stay_and_stop() { # measure_stay_and_stop MONITOR
	local ending='' force='' time=0

	[ "$1" = lkvm ] || force=--force
	start_idle "$1" || return
	while [ "$time" -lt 3 ]; do
		time=$((time + 1))
		take "$1" list "$1" list
		take "$1" pause "$1" pause -n bench
		take "$1" resume "$1" resume -n bench
	done
	ending="-e $pid"
	# shellcheck disable=SC2086
	take "$1" stop "$1" stop $force -n bench
	kill_idle
}

# kvmtool has but the guest's memory to tell, and answers nobody any more while it waits for
# the guest's balloon.
measure_stat() { # measure_stat MONITOR
	local ending='' memory='' time=0

	[ "$1" = kvik ] || memory=--memory
	start_idle "$1" || return
	while [ "$time" -lt 3 ]; do
		time=$((time + 1))
		# shellcheck disable=SC2086
		take "$1" stat "$1" stat $memory -n bench || break
	done
	kill_idle
}

commands() { # commands MONITOR
	measure_stay_and_stop "$1"
	measure_stat "$1"
}

# -- rounds --

boot() { # boot MONITOR
	measure "$1" "" ""
	# Both with the kernel's self-tests, which kvik leaves out.
	measure "$1" "" cryptomgr.notests=0
	measure "$1" -t ""
}

blk() {
	measure "$1" "" bench=blk --disk /tmp/disk
}

tap() {
	measure "$1" "" bench=net --network mode=tap,host_ip=192.168.33.1,guest_ip=192.168.33.15
}

user() {
	(export KVIK_SLIRP=/guest/kvik-slirp && measure "$1" "" bench=net --network mode=user)
}

ip link set lo up
tcp-server 5001 &
# The first start of each fills the host's page cache.
for monitor in kvik lkvm; do
	measure "$monitor" "" "" >/dev/null
done
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	# The first of a round is not always the same one.
	order="kvik lkvm"
	[ $((round % 2)) = 1 ] || order="lkvm kvik"
	for part in $parts; do
		for monitor in $order; do
			"$part" "$monitor"
		done
	done
done
