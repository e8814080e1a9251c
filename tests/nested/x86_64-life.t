#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of a VM on KVM, x86-64: its clock over a pause, and its power button.
. "$(dirname "$0")/lib.sh"

use x86_64
add_life_guest button
set_in_host other_irqchip split
in_host life.sh
