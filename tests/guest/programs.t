#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every guest program of the list, on kvik and on QEMU.
export GUEST_BUILD=${GUEST_BUILD:-${OBJ:-build/obj}/../guest}
exec "$(dirname "$0")/run.sh"
