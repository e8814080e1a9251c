#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Stock arm64 kernels on KVM, on a host with a GICv2.
. "$(dirname "$0")/lib.sh"

use arm64
for suite in $(suites); do
	add_guest "$suite"
	also "$suite/kernel" --irqchip gicv2
done
set_in_host serial ttyS0
in_host stock.sh --host gicv2
