#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks, networks and the commands for running VMs, with a stock kernel on riscv64's KVM.
. "$(dirname "$0")/lib.sh"

use riscv64
io_test disks network vhost user wire
