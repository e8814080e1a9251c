#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Stock riscv64 kernels on KVM with its AIA, on a host that has one.
. "$(dirname "$0")/lib.sh"

use riscv64
for suite in $(suites); do
	add_guest "$suite"
	also "$suite/kernel" --irqchip aia
done
set_in_host serial ttyS0
in_host stock.sh --host aia
