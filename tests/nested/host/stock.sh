#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The stock kernels of the list $guests (KERNEL-FILE OPTION..., one a line) on KVM; $serial
# is their name for the first serial port.
# shellcheck disable=SC2154
while read -r kernel options; do
	# shellcheck disable=SC2086
	stock_kernel "$kernel${options:+ $options}" "$kernel" "$serial" $options
done <<-EOT
	$guests
EOT
done_testing
