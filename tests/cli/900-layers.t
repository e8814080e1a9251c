#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The floors of the house: the tree keeps them, and the check sees what breaks them.
. "$(dirname "$0")/lib.sh"

check=$top/tests/check-layers.sh

is "every file includes only from below" "$("$check" "$top" 2>&1; echo "$?")" 0

tree=$work/tree
mkdir -p "$tree"/{include,util,core,virtio,riscv/soft,new}
touch "$tree/vm.c" "$tree/riscv/private.h" "$tree/riscv/soft/exec.c"
is "a small tree that keeps them is taken" "$("$check" "$tree" 2>&1; echo $?)" 0

# breaks NAME FILE LINE REGEX: the tree with that line in that file is refused.
breaks() {
	local said

	printf '%s\n' "$3" >"$tree/$2"
	said=$("$check" "$tree" 2>&1) && not_ok "$1: is refused"
	like "$1" "$said" "^$2:1: $4"
	rm "$tree/$2"
}

breaks "util includes core" util/a.c '#include "memory.h"' 'floor 0 includes "memory.h" of floor 1'
breaks "core includes virtio" core/a.c '#include "virtio.h"' 'floor 1 includes'
breaks "a header counts as well" include/memory.h '#include "disk.h"' 'floor 1 includes'
breaks "a device includes a machine" virtio/a.c '  #  include "machine.h"' 'floor 3 includes'
breaks "util includes a library" util/a.c '#include <zlib.h>' 'floor 0 includes libc only'
breaks "KVM outside its files" core/a.c '#include <linux/kvm.h>' 'linux/kvm.h belongs to'
breaks "a machine names the engine" riscv/a.c '#include "riscv-soft.h"' 'riscv-soft.h belongs to'
breaks "a command's header below" vm.c '#include "builtin.h"' 'builtin.h belongs to'
breaks "another module's private header" virtio/a.c '#include "private.h"' '"private.h" is neither'
breaks "a path" virtio/a.c '#include "../riscv/private.h"' '"../riscv/private.h" is neither'
breaks "exit below floor 6" core/a.c '	exit(1);' 'only floor 6 may end'
breaks "a file on no floor" new/a.c 'int x;' 'is on no floor'

finish
