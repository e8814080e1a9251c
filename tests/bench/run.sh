#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures kvik beside QEMU's TCG: the same kernel and the same work, in the same run.
#
# usage: tests/bench/run.sh [OPTION...] [TEST...]
#
#   --rounds N   rounds; the engines take turns, medians count (default 3)
#   --scale N    percent of the usual work (default 100)
#   --json FILE  write every figure to FILE ("-": to stdout, in place of the table)
#   --no-qemu    measure kvik alone
#   -h, --help   this text
#
# TEST is the beginning of a test's name: boot, int, mem, fp, br, sys, jit, at, blk, qcow2,
# direct, net. KVIK names the kvik to measure, QEMU the peer (default qemu-system-riscv64),
# TMPDIR where the disk images lie. Of blk and qcow2 both keep the image in the host's page
# cache, as both do when nobody says anything; of direct neither does.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
files=$top/scripts/guest-files
KVIK=${KVIK:-$top/kvik}
QEMU=${QEMU:-qemu-system-riscv64}
memory_mib=1024 disk_mib=512
rounds=3 scale=100 json='' engines=(kvik qemu) tests=()

die() {
	echo "bench: $*" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=${2:?} && shift ;;
	--scale) scale=${2:?} && shift ;;
	--json) json=${2:?} && shift ;;
	--no-qemu) engines=(kvik) ;;
	-h | --help) sed -n '3,/^set /{/^set /!s/^# \{0,1\}//p}' "$0" && exit ;;
	-*) die "unknown option $1; see --help" ;;
	*) tests+=("$1") ;;
	esac
	shift
done

work=$(mktemp -d "${TMPDIR:-/tmp}/kvik-bench.XXXXXX")
server=
# shellcheck disable=SC2329 # the trap calls it
clean_up() {
	[ -z "$server" ] || kill "$server"
	rm -rf "$work"
}
trap clean_up EXIT
figures=$work/figures # lines of: engine test seconds checksum work unit cpu-seconds
: >"$figures"

# --- the guests ---

wanted() { # wanted NAME: some test is, or begins with, NAME
	[ ${#tests[@]} = 0 ] || [[ " ${tests[*]}" == *" $1"* ]]
}

prepare() {
	"$files" fetch || die "no guest kernel"
	kernel=$("$files" path kernel)
	type riscv64-linux-gnu-gcc &>/dev/null || die "install gcc-riscv64-linux-gnu"
	riscv64-linux-gnu-gcc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -static -pthread \
		-ffp-contract=off -march=rv64gc -o "$work/rvbench" "$here"/guest/*.c -lm
	"$files" initrd "$work/initrd" "$here/init" virtio_mmio virtio_blk virtio_net -- \
		"$work/rvbench:bin/rvbench"
	compile cost
	! wanted net || start_server
	find_direct
	new_disks
	if [ ${#engines[@]} -gt 1 ] && ! type "$QEMU" &>/dev/null; then
		echo "bench: no $QEMU here: kvik alone (QEMU=PATH names another)" >&2
		engines=(kvik)
	fi
}

compile() { # compile NAME: a program for the host
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -o "$work/$1" "$here/$1.c" ||
		die "cannot compile $1"
}

# Where the file system has no direct I/O the guests go without that disk.
find_direct() {
	direct_kvik=() direct_qemu=()
	wanted direct || return 0
	dd if=/dev/zero of="$work/direct" bs=4096 count=1 oflag=direct 2>/dev/null || {
		echo "bench: no direct I/O in $work: without it (TMPDIR=PATH names another place)" >&2
		return 0
	}
	direct_kvik=(--disk "$work/direct,direct,serial=direct")
	# shellcheck disable=SC2054 # commas that QEMU sees
	direct_qemu=(-drive "id=direct,file=$work/direct,format=raw,$drive_qemu,cache=none"
		-device virtio-blk-device,drive=direct,serial=direct)
}

# New ones for each guest: who comes second is not to find its space allocated.
new_disks() {
	rm -f "$work/disk" "$work/qcow2" "$work/direct"
	truncate -s ${disk_mib}M "$work/disk" "$work/direct"
	"$KVIK" disk create "$work/qcow2" ${disk_mib}M >/dev/null || die "no qcow2 image"
}

start_server() {
	compile tcp-server
	"$work/tcp-server" 5001 &
	server=$!
	network_kvik=(user) network_qemu=(-device "virtio-net-device,netdev=net"
		-netdev "user,id=net,net=192.168.33.0/24,host=192.168.33.1,dhcpstart=192.168.33.15")
}
drive_qemu=if=none,discard=unmap
network_kvik=(none) network_qemu=(-nic none)

# Replaces this shell by an engine that runs the guest, under "${under[@]}"; $1 follows the
# generated kernel parameters.
under=()
exec_kvik() {
	exec "${under[@]}" "$KVIK" run -n "${network_kvik[@]}" --cpus 1 --mem ${memory_mib}M \
		--initrd "$work/initrd" --disk "$work/disk,serial=raw" \
		--disk "$work/qcow2,serial=qcow2" "${direct_kvik[@]}" --params "quiet $1" "$kernel"
}

exec_qemu() {
	exec "${under[@]}" "$QEMU" -M virt -smp 1 -m $memory_mib -nographic -no-reboot "${network_qemu[@]}" \
		-global virtio-mmio.force-legacy=false -kernel "$kernel" -initrd "$work/initrd" \
		-drive "id=disk,file=$work/disk,format=raw,$drive_qemu" \
		-device virtio-blk-device,drive=disk,serial=raw \
		-drive "id=qcow2,file=$work/qcow2,format=qcow2,$drive_qemu" \
		-device virtio-blk-device,drive=qcow2,serial=qcow2 "${direct_qemu[@]}" \
		-append "console=ttyS0 quiet $1"
}

# cpu_seconds PID: user and system time so far.
cpu_seconds() {
	sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print ($12 + $13) / hz }'
}

# boot ENGINE: notes the wall and CPU time until init.
boot() {
	local begin=$EPOCHREALTIME line pid

	coproc guest { "exec_$1" "" 2>/dev/null </dev/null; }
	pid=$!
	while read -r line <&"${guest[0]}"; do
		[ "${line%$'\r'}" = BENCH-INIT ] || continue
		echo "$1 boot-wall $(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }') 0 1 boot"
		echo "$1 boot-cpu $(cpu_seconds "$pid") 0 1 boot"
		break
	done >>"$figures"
	wait "$pid" 2>/dev/null || :
}

# measure ENGINE: runs the tests in one guest.
measure() {
	local under=("$work/cost")

	new_disks
	("exec_$1" "-- -s $scale ${tests[*]}" 2>"$work/err" </dev/null) | tr -d '\r' >"$work/out" || :
	grep -q '^BENCH-DONE' "$work/out" || {
		tail -n 5 "$work/out" "$work/err" >&2
		die "$1 did not finish"
	}
	sed -n "s/^BENCH /$1 /p" "$work/out" >>"$figures"
}

# --- results ---

# The same work must give the same result everywhere.
compare_checksums() {
	awk '$4 !~ /^0+$/ {
		if ($2 in sum && sum[$2] != $4) { print "bench: " $2 ": results differ"; bad = 1 }
		sum[$2] = $4
	}
	END { exit bad }' "$figures" >&2
}

# shellcheck disable=SC2016 # for awk
median='function median(list, n,   v, i, j, t) {
	n = split(list, v, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}'

# Medians, ratios and the geometric means of each group.
print_times() {
	awk -v rounds="$rounds" "$median"'
	{
		if (!($2 in seen)) { seen[$2] = 1; order[++tests] = $2 }
		times[$1, $2] = times[$1, $2] " " $3; work[$2] = $5 " " $6
	}
	END {
		printf "%-19s %10s %10s %8s  %s\n", "test", "kvik s", "QEMU s", "speed", "work"
		for (i = 1; i <= tests; i++) {
			name = order[i]; k = median(times["kvik", name])
			if (!(("qemu", name) in times)) {
				printf "%-19s %10.3f %10s %8s  %s\n", name, k, "-", "-", work[name]
				continue
			}
			q = median(times["qemu", name])
			printf "%-19s %10.3f %10.3f %7.2fx  %s\n", name, k, q, k ? q / k : 0, work[name]
			if (k && q) { group = name; sub(/-.*/, "", group)
				if (!(group in n)) groups[++count] = group
				log_sum[group] += log(q / k); n[group]++ }
		}
		for (i = 1; i <= count; i++)
			printf "%-19s %10s %10s %7.2fx  geometric mean of %d\n", groups[i], "", "", \
				exp(log_sum[groups[i]] / n[groups[i]]), n[groups[i]]
		printf "Medians of %d rounds; speed is QEMU'\''s time by kvik'\''s: above 1, kvik is faster.\n", rounds
	}' "$figures"
}

# What transfers cost the host, guest and helpers included; a request to a disk is of 4 KiB.
print_costs() {
	awk "$median"'
	$2 ~ /^(blk|qcow2|direct|net)-/ && $6 != "trips" {
		if (!($2 in seen)) { seen[$2] = 1; order[++tests] = $2 }
		gib = $5 * ($6 == "bytes" ? 1 : 4096) / 1073741824
		costs[$1, $2] = costs[$1, $2] " " $7 / gib
	}
	function show(engine, name) {
		return (engine, name) in costs ? sprintf("%.2f", median(costs[engine, name])) : "-"
	}
	END {
		if (tests)
			printf "\n%-19s %10s %10s   CPU seconds of the host for a GiB\n", "test", "kvik", "QEMU"
		for (i = 1; i <= tests; i++)
			printf "%-19s %10s %10s\n", order[i], show("kvik", order[i]), show("qemu", order[i])
	}' "$figures"
}

print_table() {
	print_times
	print_costs
}

print_json() {
	awk -v rounds="$rounds" -v scale="$scale" -v host="$(uname -srm)" \
		-v version="$("$files" show version)" -v kvik="$("$KVIK" --version | head -n 1)" \
		-v qemu="$("$QEMU" --version 2>/dev/null | head -n 1)" '
	{
		if (!($2 in seen)) { seen[$2] = 1; order[++tests] = $2 }
		key = $1 SUBSEP $2; sep = key in times ? ", " : ""
		times[key] = times[key] sep ($3 + 0); work[$2] = $5; unit[$2] = $6
		if ($2 ~ /^(blk|qcow2|direct|net)-/) costs[key] = costs[key] sep ($7 + 0)
	}
	END {
		printf "{\n  \"host\": \"%s\",\n  \"guest_kernel\": \"%s\",\n", host, version
		printf "  \"kvik\": \"%s\",\n  \"qemu\": \"%s\",\n", kvik, qemu
		printf "  \"rounds\": %d,\n  \"scale_percent\": %d,\n  \"tests\": [\n", rounds, scale
		for (i = 1; i <= tests; i++) {
			name = order[i]
			printf "    {\"name\": \"%s\", \"work\": %s, \"unit\": \"%s\", ", name, work[name], unit[name]
			printf "\"kvik_seconds\": [%s], \"qemu_seconds\": [%s]", times["kvik", name], \
				times["qemu", name]
			if (("kvik", name) in costs)
				printf ", \"kvik_cpu_seconds\": [%s], \"qemu_cpu_seconds\": [%s]", \
					costs["kvik", name], costs["qemu", name]
			print i < tests ? "}," : "}"
		}
		print "  ]\n}"
	}' "$figures"
}

# Not always the same one first.
in_turns() {
	if [ $((round % 2)) = 1 ]; then
		echo "${engines[@]}"
	else
		printf '%s\n' "${engines[@]}" | tac
	fi
}

prepare
for ((round = 1; round <= rounds; round++)); do
	for engine in $(in_turns); do
		[ ! -t 2 ] || printf '\rround %d of %d: %s  ' "$round" "$rounds" "$engine" >&2
		! wanted boot || boot "$engine"
		[ "${tests[*]:-}" = boot ] || measure "$engine"
	done
done
[ ! -t 2 ] || printf '\r\033[K' >&2
compare_checksums
case $json in
'') print_table ;;
-) print_json ;;
*) print_table && print_json >"$json" ;;
esac
