#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures kvik on KVM beside kvmtool: in the same emulated host, in the same run.
#
# usage: tests/nested/bench/run.sh [OPTION...] [ARCH...]
#
#   --rounds N   how often; the two take turns, medians count (default 3)
#   --parts LIST of "boot blk tap user commands": only these; "commands" are those that
#                VMs which run answer to
#   --json FILE  write every figure to FILE, too
#   -h, --help   this text
#
# LKVM_riscv64, LKVM_arm64 and LKVM_x86_64 name static binaries of kvmtool; where there is
# none, that architecture is left out. The clock of all hosts but x86-64's counts
# instructions: the ratios hold for emulated computers, and repeat on busy ones.
. "$(dirname "$0")/../lib.sh"

rounds=3 parts='boot blk tap user commands' json='' archs=()
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=${2:?} && shift ;;
	--parts) parts=${2:?} && shift ;;
	--json) json=${2:?} && shift ;;
	-h | --help) sed -n '3,/^\. /{/^\. /!s/^# \{0,1\}//p}' "$0" && exit ;;
	-*) echo "$0: unknown option $1" >&2 && exit 2 ;;
	*) archs+=("$1") ;;
	esac
	shift
done
[ ${#archs[@]} != 0 ] || archs=(riscv64 arm64 x86_64)

# measure ARCH LKVM: leaves lines "MONITOR NAME VALUE" in $work/figures.
measure() {
	local -a icount=()

	use "$1"
	compile gauge "$here/bench/gauge.c"
	compile took "$here/bench/took.c"
	compile tcp-server "$top/tests/bench/tcp-server.c"
	compile rvbench "$top"/tests/bench/guest/*.c
	export KVIK_SUITE=trixie
	"$files" fetch || bail "no kernel"
	"$files" initrd "$work/initrd" "$here/bench/boot.init" virtio_mmio virtio_pci \
		virtio_blk virtio_balloon virtio_net -- "$work/rvbench:bin/rvbench"
	# Not beside kvik: the other guests have no network.
	add_slirp guest/kvik-slirp
	add+=("$2:bin/lkvm" "$work/gauge:bin/gauge" "$work/took:bin/took"
		"$work/tcp-server:bin/tcp-server" "$work/initrd:guest/initrd"
		"$("$files" path kernel):guest/kernel")
	set_in_host rounds "$rounds"
	set_in_host parts "$parts"
	# QEMU 7.2 stops now and then when it counts instructions under SVM.
	[ "$1" = x86_64 ] || icount=(--icount)
	in_host bench.sh "${icount[@]}" --module tun --memory 3072 --time $((rounds * 1200)) \
		>"$work/out" ||
		echo "bench: the run on $1 ended with an error" >&2
	grep '^#' "$work/out" >&2
	sed -n 's/^figure //p' "$work/out" >"$work/figures"
}

# Medians beside each other; the last column is kvik's over kvmtool's.
print_table() {
	awk '
	function median(list, n,   v, i, j, t) {
		n = split(list, v, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	{
		if (!($2 in seen)) { seen[$2] = 1; order[++count] = $2 }
		all[$1, $2] = all[$1, $2] " " $3
	}
	END {
		printf "%-26s %12s %12s %8s\n", "", "kvik", "kvmtool", "ratio"
		for (i = 1; i <= count; i++) {
			name = order[i]; k = median(all["kvik", name]); l = median(all["lkvm", name])
			printf "%-26s %12.10g %12.10g %8s\n", name, k, l, l ? sprintf("%.2f", k / l) : "-"
		}
	}' "$work/figures"
}

write_json() { # write_json ARCH
	awk -v arch="$1" '{
		printf "{\"arch\": \"%s\", \"monitor\": \"%s\", \"figure\": \"%s\", \"value\": %s}\n",
			arch, $1, $2, $3
	}' "$work/figures" >>"$json"
}

[ -z "$json" ] || : >"$json"
for arch in "${archs[@]}"; do
	lkvm=LKVM_$arch
	if [ -z "${!lkvm:-}" ]; then
		echo "$arch: skipped: LKVM_$arch names no static kvmtool to compare with"
		continue
	fi
	measure "$arch" "${!lkvm}"
	echo "$arch, $rounds rounds:"
	print_table
	[ -z "$json" ] || write_json "$arch"
done
