# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the nested tests: prepares what goes into an emulated host with KVM, runs a
# script of host/ there, which speaks TAP.
# shellcheck shell=bash
#
# NESTED_BUILD is where `make cross` put the programs under test; NESTED_SUITES the guest
# kernels ("trixie bookworm"); NESTED_BRIEF=yes takes all but the first suite in one form
# each only; NESTED_TIME is the longest time in seconds for one host.
set -u
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
files=$top/scripts/guest-files
NESTED_BUILD=${NESTED_BUILD:-$top/build}
NESTED_SUITES=${NESTED_SUITES:-trixie bookworm}

work=$(mktemp -d "${TMPDIR:-/tmp}/kvik-nested.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

bail() {
	echo "Bail out! $*"
	exit 1
}

# use ARCH: what all that follows is about.
use() {
	arch=$1
	case $arch in
	x86_64) KVIK_ARCH=amd64 interpreter_dir=lib64 ;;
	*) KVIK_ARCH=$arch interpreter_dir=lib ;;
	esac
	export KVIK_ARCH
	add=("$NESTED_BUILD/$arch/kvik-static:bin/kvik")
	settings=() guests=''
	set_in_host brief "${NESTED_BRIEF:-}"
	[ -x "$NESTED_BUILD/$arch/kvik-static" ] ||
		bail "no $NESTED_BUILD/$arch/kvik-static: run make cross"
}

# The suites that have this architecture.
suites() {
	local suite

	for suite in $NESTED_SUITES; do
		[ "$arch-$suite" = riscv64-bookworm ] || echo "$suite"
	done
}

kernel_of() { # kernel_of SUITE
	KVIK_SUITE=$1 "$files" path kernel
}

# add_guest SUITE: the suite's kernel is /guest/SUITE/kernel in the host, its initrd
# beside it.
add_guest() {
	local KVIK_SUITE=$1

	export KVIK_SUITE
	"$files" fetch 2>"$work/fetch" || {
		sed 's/^/# /' "$work/fetch"
		bail "no kernel of Debian $1 for $arch"
	}
	"$files" initrd "$work/initrd-$1" "$here/guest.init" virtio_mmio virtio_blk virtio_rng \
		virtio_console || bail "cannot build an initrd for Debian $1"
	add+=("$(kernel_of "$1"):guest/$1/kernel" "$work/initrd-$1:guest/$1/initrd")
}

compiler_of() { # compiler_of ARCH
	case $1 in
	arm64) set -- aarch64 ;;
	esac
	if [ "$(uname -m)" = "$1" ]; then echo gcc; else echo "$1-linux-gnu-gcc"; fi
}

compile() { # compile NAME SOURCE...: leaves $work/NAME, static, for $arch
	local name=$1
	shift

	"$(compiler_of "$arch")" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -static -pthread \
		-o "$work/$name" "$@" -lm || bail "cannot compile $name for $arch"
}

# add_io_guest: one with disk and network drivers, mkfs.ext4 and e2fsck, at /guest/io/; and
# netpeer, for host and guest.
add_io_guest() {
	local lib tree libs
	local -a tools=()

	export KVIK_SUITE=trixie
	compile netpeer "$top/tests/boot/netpeer.c"
	tree=$("$files" fetch 2>"$work/fetch" && "$files" extra e2fsprogs libext2fs2t64 libcom-err2 \
		libblkid1 libuuid1 libc6 2>"$work/fetch") ||
		bail "cannot fetch a guest with e2fsprogs for $arch: $(tail -n 1 "$work/fetch")"
	libs=lib/$(basename "$(dirname "$(find "$tree/usr/lib" -name libext2fs.so.2)")")
	for lib in libext2fs.so.2 libe2p.so.2 libcom_err.so.2 libblkid.so.1 libuuid.so.1 libc.so.6; do
		tools+=("$tree/usr/$libs/$lib:$libs/$lib")
	done
	for lib in "$tree/usr/$libs"/ld-linux-*; do
		tools+=("$lib:$interpreter_dir/${lib##*/}")
	done
	tools+=("$tree/usr/sbin/mke2fs:bin/mkfs.ext4" "$tree/usr/sbin/e2fsck:bin/e2fsck"
		"$work/netpeer:bin/netpeer" "$here/io.steps:etc/steps")
	"$files" initrd "$work/initrd-io" "$here/guest.init" virtio_mmio virtio_blk virtio_net \
		virtio_balloon virtio_rng crc32c_generic ext4 -- "${tools[@]}" ||
		bail "cannot build an initrd for $arch"
	add+=("$("$files" path kernel):guest/io/kernel" "$work/initrd-io:guest/io/initrd"
		"$work/netpeer:bin/netpeer")
}

# add_life_guest MODULE: one whose kernel hears its power button by that, at /guest/life/.
add_life_guest() {
	export KVIK_SUITE=trixie
	"$files" fetch 2>"$work/fetch" || bail "no guest kernel for $arch: $(tail -n 1 "$work/fetch")"
	"$files" initrd "$work/initrd-life" "$here/guest.init" virtio_mmio "$1" evdev -- \
		"$here/life.steps:etc/steps" || bail "cannot build an initrd for $arch"
	add+=("$("$files" path kernel):guest/life/kernel" "$work/initrd-life:guest/life/initrd")
}

# add_slirp PLACE: kvik-slirp, with the libraries that it is linked to.
add_slirp() {
	local tree libs lib

	tree=$(KVIK_SUITE=trixie "$files" extra libslirp-dev libslirp0 libseccomp-dev libseccomp2 \
		libglib2.0-0t64 libpcre2-8-0 libatomic1 libc6 2>"$work/fetch") ||
		bail "cannot fetch libslirp for $arch: $(tail -n 1 "$work/fetch")"
	libs=lib/$(basename "$(dirname "$(find "$tree/usr/lib" -name libslirp.so.0)")")
	# The libraries' own needs are a younger C library's than the compiler's.
	"$(compiler_of "$arch")" -std=gnu11 -D_GNU_SOURCE -O2 -pthread -iquote "$top/include" \
		-idirafter "$tree/usr/include" -o "$work/kvik-slirp" "$top"/helpers/kvik-slirp/*.c \
		"$NESTED_BUILD/$arch/obj/libkvik.a" -L"$tree/usr/$libs" \
		-Wl,--allow-shlib-undefined -lslirp -lseccomp || bail "cannot build kvik-slirp for $arch"
	add+=("$work/kvik-slirp:$1")
	for lib in libslirp.so.0 libseccomp.so.2 libglib-2.0.so.0 libpcre2-8.so.0 libatomic.so.1 \
		libm.so.6 libc.so.6; do
		add+=("$tree/usr/$libs/$lib:$libs/$lib")
	done
	for lib in "$tree/usr/$libs"/ld-linux-*; do
		add+=("$lib:$interpreter_dir/${lib##*/}")
	done
}

# io_test PART...: what all *-io.t do. NESTED_IO names the parts, to have only some of them.
io_test() {
	local parts=${NESTED_IO:-$*}

	[ "${NESTED_BRIEF:-}" != yes ] || parts=network
	set_in_host parts "$parts"
	add_io_guest
	[[ $parts != *user* ]] || add_slirp bin/kvik-slirp
	in_host io.sh --module tun --module vhost_net
}

# set_in_host NAME VALUE: a variable for the script.
set_in_host() {
	settings+=("$1=$(printf '%q' "$2")")
}

# also KERNEL-FILE [OPTION...]: one more line for host/stock.sh.
also() {
	local suite=${1%%/*}

	[ "${NESTED_BRIEF:-}" != yes ] || [ "$suite" = "${NESTED_SUITES%% *}" ] ||
		[[ $guests != *"$suite/"* ]] || return 0
	guests+="$*"$'\n'
}

# in_host SCRIPT [RIG OPTION...]: runs host/SCRIPT; its TAP is ours.
in_host() {
	local script=$1
	shift

	{
		printf '%s\n' "${settings[@]}" "guests=$(printf '%q' "${guests%$'\n'}")"
		cat "$here/host/lib.sh" "$here/host/$script"
	} >"$work/script"
	"$here/rig" "$arch" --time "${NESTED_TIME:-600}" "$@" "$work/script" "${add[@]}"
}
