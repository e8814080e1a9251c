#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of a VM on KVM, riscv64: its clock over a pause, and its power button.
. "$(dirname "$0")/lib.sh"

use riscv64
add_life_guest virtio_input
set_in_host other_irqchip ''
in_host life.sh
