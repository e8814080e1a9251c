#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare x86-64 programs, of which some misbehave, on KVM.
. "$(dirname "$0")/lib.sh"

use x86_64
build=${GUEST_BUILD:-$NESTED_BUILD/guest}
GUEST_BUILD=$build "$top/tests/guest/x86.t" build || bail "the programs do not compile"
for file in "$build"/x86/*; do
	add+=("$file:programs/${file##*/}")
done
in_host x86_64-programs.sh
