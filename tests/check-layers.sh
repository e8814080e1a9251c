#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks that every file includes only from its own floor's module and the floors
# below (docs/architecture.md). Prints one line for each violation and fails.
#
# usage: tests/check-layers.sh [TREE]
set -u
export LC_ALL=C
cd "${1:-$(dirname "$0")/..}" || exit 1

# The public headers by floor; a header that is on none is a violation itself.
declare -A floor_of
place() {
	local floor=$1 name

	shift
	for name in "$@"; do
		floor_of[$name.h]=$floor
	done
}
place 0 bytes util log notify options pages pidfile thread version iov
place 1 aml boot bootargs bus control control-client cpu-view device fdt image instance io-stats irq kvm-host loop memory metrics power symbols \
	rate-limit signals term vcpu vm-config
place 2 disk disk-image frames fs net vnet
place 3 balloon hw virtio virtio-devices virtqueue
place 4 arm-accel machine riscv-accel riscv-soft x86-accel
place 5 vm
place 6 builtin debug-trace remote

# Who alone may include a header that names one concrete part.
declare -A only_in=(
	[linux/kvm.h]='^(core|x86|arm|riscv)/kvm(-[a-z0-9-]+)?\.[ch]$'
	[kvm-host.h]='^(vm|(core|x86|arm|riscv)/kvm(-[a-z0-9-]+)?)\.[ch]$'
	[riscv-soft.h]='^(vm\.c|riscv/soft/.*)$'
	[vm-priv.h]='^vm(-.*)?\.c$'
	[builtin.h]='^(main|builtin-.*)\.c$'
)

# Libraries that floor 0 must do without.
libraries='^(libfdt|libaio|zlib|zstd|linux/kvm)\.h$'

failed=0
complain() {
	echo "$1:$2: $3"
	failed=1
}

floor_of_file() {
	case $1 in
	include/*) echo "${floor_of[${1#include/}]:-none}" ;;
	util/*) echo 0 ;;
	core/*) echo 1 ;;
	disk/* | net/* | fs/*) echo 2 ;;
	virtio/* | hw/* | helpers/*) echo 3 ;;
	x86/* | arm/* | riscv/*) echo 4 ;;
	vm.c | vm-* | run-*) echo 5 ;;
	main.c | builtin* | remote.* | debug-trace.*) echo 6 ;;
	*) echo none ;;
	esac
}

check_include() {
	local file=$1 line=$2 quoted=$3 header=$4 floor=$5 wanted

	if [ -n "${only_in[$header]:-}" ] && ! [[ $file =~ ${only_in[$header]} ]]; then
		complain "$file" "$line" "$header belongs to ${only_in[$header]} alone"
	fi
	if [ "$quoted" = no ]; then
		[ "$floor" != 0 ] || ! [[ $header =~ $libraries ]] ||
			complain "$file" "$line" "floor 0 includes libc only, not <$header>"
		return
	fi
	wanted=${floor_of[$header]:-}
	if [ -z "$wanted" ]; then
		# A private header lies beside the file that includes it.
		[[ $header != */* && -e $(dirname "$file")/$header ]] ||
			complain "$file" "$line" "\"$header\" is neither public nor beside the file"
	elif [ "$wanted" -gt "$floor" ]; then
		complain "$file" "$line" "floor $floor includes \"$header\" of floor $wanted"
	fi
}

check_file() {
	local file=$1 floor line text

	floor=$(floor_of_file "$file")
	if [ "$floor" = none ]; then
		complain "$file" 1 "is on no floor; place it in tests/check-layers.sh"
		return
	fi
	while IFS=: read -r line text; do
		if [[ $text =~ \"(.*)\" ]]; then
			check_include "$file" "$line" yes "${BASH_REMATCH[1]}" "$floor"
		elif [[ $text =~ \<(.*)\> ]]; then
			check_include "$file" "$line" no "${BASH_REMATCH[1]}" "$floor"
		fi
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file")
	[ "$floor" = 6 ] && return
	while IFS=: read -r line text; do
		complain "$file" "$line" "only floor 6 may end the process"
	done < <(grep -nE '(^|[^[:alnum:]_.>*])(exit|abort|die)\(' "$file" |
		grep -vE '^[0-9]+:[[:space:]]*//')
}

mapfile -t files < <(find . -path ./build -prune -o -path ./.git -prune -o -path ./tests -prune -o \
	-path ./guest -prune -o -name '*.[ch]' -print | sed 's|^\./||' | sort)
if [ ${#files[@]} = 0 ]; then
	echo "check-layers: no source files here" >&2
	exit 1
fi
for file in "${files[@]}"; do
	check_file "$file"
done
exit $failed
