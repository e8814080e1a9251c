#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The software engine on an arm64 host.
# Pointers are signed as in no real CPU, since the real algorithm takes most of the time.
export QEMU_CPU=max,pauth-impdef=on
exec "$(dirname "$0")/engine.sh" arm64 qemu-aarch64
