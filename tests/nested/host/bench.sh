#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures kvik and lkvm in turns; prints "figure MONITOR NAME VALUE". $rounds is how
# often.
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
	# With a disk there are more exits than without: only what the guest measured counts.
	case $params in
	*io) grep '^blk_' /tmp/figures ;;
	*notests*) sed -n 's/^init_ms/init_tested_ms/p' /tmp/figures ;;
	*) cat /tmp/figures ;;
	esac | sed "s/^/figure $monitor /"
}

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
	for monitor in $order; do
		measure "$monitor" "" ""
		# Both with the kernel's self-tests, which kvik leaves out.
		measure "$monitor" "" cryptomgr.notests=0
		measure "$monitor" -t ""
		measure "$monitor" "" "bench=io" --disk /tmp/disk
	done
done
