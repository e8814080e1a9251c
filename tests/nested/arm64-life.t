#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of a VM on KVM, arm64: its clock over a pause, and its power button.
. "$(dirname "$0")/lib.sh"

use arm64
add_life_guest gpio_keys
set_in_host other_irqchip user
in_host life.sh
