# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests of disks on a host that fails: the shim, and what is to be preloaded.
# shellcheck shell=bash

shim_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/fault-shim.c

# build_shim OUT
build_shim() {
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -shared -fPIC -o "$1" \
		"$shim_source" -ldl
}

# preloads PROGRAM SHIM: a sanitizer's library comes first where PROGRAM has one, and finds
# the shim behind it.
preloads() {
	ldd "$1" | awk '/lib[atu]*san/ { printf "%s ", $3 }'
	echo "$2"
}
