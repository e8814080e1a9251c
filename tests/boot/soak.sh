#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Fifty boots in a row, with different numbers of harts; none may hang or fail.
. "$(dirname "$0")/lib.sh"

boots=${BOOTS:-50}
plan "$boots"
use_modules virtio_mmio virtio_rng
for ((i = 1; i <= boots; i++)); do
	harts=$((1 << i % 4))
	guest 'echo hello' --cpus $harts --rng
	ok "boot $i, $harts hart(s)" eval 'ended_with 0 && prints "^hello$"'
done
