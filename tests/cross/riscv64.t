#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The software engine on a riscv64 host.
exec "$(dirname "$0")/engine.sh" riscv64 qemu-riscv64
