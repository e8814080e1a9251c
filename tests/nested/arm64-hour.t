#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The clock of a VM on KVM, arm64, over a pause of an hour: that of an emulated host whose
# clock skips what it is idle for.
. "$(dirname "$0")/lib.sh"

use arm64
add_life_guest gpio_keys
set_in_host pause_s 3600
set_in_host only_clock yes
in_host life.sh --icount --time 1500
