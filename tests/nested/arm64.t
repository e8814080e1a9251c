#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Stock arm64 kernels on KVM, with each interrupt controller that a host with a GICv3 offers.
. "$(dirname "$0")/lib.sh"

use arm64
for suite in $(suites); do
	add_guest "$suite"
	for irqchip in gicv3 gicv3-its user; do
		also "$suite/kernel" --irqchip "$irqchip"
	done
done
set_in_host serial ttyS0
in_host stock.sh
