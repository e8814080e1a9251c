# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of qcow2 images beside QEMU's tools share: TAP, random requests, and the
# same requests for both sides. Sourced.
# shellcheck shell=bash
set -u
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
kvik=${KVIK:-$top/kvik}
disk_io=${OBJ:-$top/build/obj}/tests/disk-io
size=$((24 * 1048576))

for tool in qemu-img qemu-io; do
	command -v $tool >/dev/null || {
		echo "1..0 # SKIP $tool is not installed"
		exit 0
	}
done
[ -x "$disk_io" ] || {
	echo "Bail out! $disk_io is not there; run make check"
	exit 1
}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/kvik-disk.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

count=0
result() { # result STATUS NAME [DETAIL...]
	local status=$1 name=$2

	shift 2
	count=$((count + 1))
	if [ "$status" = 0 ]; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		printf '%s\n' "$@" | tail -n 20 | sed 's/^/# /'
	fi
}

ok() { # ok NAME COMMAND...
	local name=$1 output status

	shift
	output=$("$@" 2>&1)
	status=$?
	result $status "$name" "failed: $*" "$output"
}

# requests SEED COUNT [d]: random ones for disk-io; with d, discards among them.
requests() {
	awk -v seed="$1" -v n="$2" -v discard="${3:-}" -v size=$size 'BEGIN {
		srand(seed)
		for (i = 0; i < n; i++) {
			kind = rand(); offset = int(rand() * size / 512) * 512; l = rand()
			len = l < 0.5 ? 512 * (1 + int(rand() * 16)) : 4096 * (1 + int(rand() * 32))
			if (l > 0.9) len = 65536 * (1 + int(rand() * 8))
			if (rand() < 0.3) offset -= offset % 65536
			if (offset + len > size) len = size - offset
			if (kind < 0.7) print "w", offset, len, 1 + int(rand() * 255)
			else if (kind < 0.8) print "z", offset, len
			else if (kind < 0.88) print "u", offset, len
			else if (kind < 0.96 && discard) print "d", offset, len
			else print "f"
		}
	}'
}

# for_qemu: the same for qemu-io, from stdin to stdout.
for_qemu() {
	awk '{ range = $2 " " $3 }
		$1 == "w" { print "write -q -P", $4, range }
		$1 == "z" { print "write -q -z", range }
		$1 == "u" { print "write -q -z -u", range }
		$1 == "d" { print "discard -q", range }
		$1 == "f" { print "flush" }'
}

qemu_applies() { # qemu_applies IMAGE REQUESTS
	for_qemu <"$2" | qemu-io -t writeback --discard unmap "$1" 2>&1 | grep -v '^qemu-io> *$' |
		grep -iE 'error|fail|invalid|not '
	[ "${PIPESTATUS[1]}" = 0 ]
}

kvik_applies() { # kvik_applies IMAGE[,OPTION...] REQUESTS
	"$disk_io" -d 16 "$1" <"$2" >acknowledged
}

# both NAME A B REQUESTS: kvik applies them to A and QEMU to B; then they are the same.
both() {
	ok "$1: kvik writes" kvik_applies "$2,backing" "$4"
	ok "$1: QEMU writes" qemu_applies "$3" "$4"
	ok "$1: the same content" qemu-img compare -q "$2" "$3"
	ok "$1: qemu-img check" qemu-img check -q "$2"
	ok "$1: kvik disk check" "$kvik" disk check -q "$2"
}

# as_read_by_kvik IMAGE: what kvik reads from it is what QEMU reads.
as_read_by_kvik() {
	rm -f by-kvik by-qemu
	"$kvik" disk convert -q --allow-backing -O raw "$1" by-kvik &&
		qemu-img convert -O raw "$1" by-qemu && cmp by-kvik by-qemu
}

sleep_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

# time_of_requests IMAGE LIST: how many milliseconds the requests take, on a copy.
time_of_requests() {
	local begin

	cp --sparse=always "$1" timed.qcow2
	begin=$(date +%s%N)
	"$disk_io" -d 16 "timed.qcow2,backing" <"$2" >/dev/null 2>&1
	echo $((($(date +%s%N) - begin) / 1000000))
	rm timed.qcow2
}

# kill_rounds NAME IMAGE PEER ROUNDS REQUESTS-PER-ROUND SEED: kvik is killed while it writes to
# IMAGE; what it had not acknowledged is done again. Nothing may be wrong then but leaks,
# and those go when kvik opens the image. PEER gets the same requests from QEMU.
kill_rounds() {
	local name=$1 image=$2 peer=$3 rounds=$4 n=$5 seed=$6 round pid status whole_ms
	local -i errors=0 leaky=0 killed=0 differ=0

	requests "$seed" "$n" d >listed
	whole_ms=$(time_of_requests "$image" listed)
	for ((round = 0; round < rounds; round++)); do
		requests $((seed + round)) "$n" d >listed
		: >acknowledged # it may be killed before the shell has emptied that for it
		"$disk_io" -d 16 "$image,backing" <listed >acknowledged 2>messages &
		pid=$!
		# Somewhere in its work, however quick the machine is.
		sleep_ms $((whole_ms * ((seed * 7 + round * 37) % 80 + 5) / 100))
		if kill -KILL $pid 2>/dev/null; then
			killed+=1
		else # the machine was busy when it was timed
			whole_ms=$((whole_ms / 2))
		fi
		wait $pid 2>/dev/null
		qemu-img check -q "$image" >checked 2>&1
		status=$?
		[ $status = 0 ] || [ $status = 3 ] || {
			errors+=1
			cp checked check-failed
		}
		[ $status != 3 ] || leaky+=1
		awk 'FILENAME == "acknowledged" { done[$1] = 1; next } !done[FNR]' acknowledged listed >again
		"$disk_io" "$image,backing" <again >/dev/null 2>>messages || errors+=1
		qemu_applies "$peer" listed || errors+=1
		qemu-img compare -q "$image" "$peer" || differ+=1
		# Version 2 has nothing to tell of a crash by.
		"$kvik" disk check -q -r leaks "$image" 2>>messages || errors+=1
		qemu-img check -q "$image" >checked 2>&1 || errors+=1
	done
	[ $errors = 0 ] && [ $differ = 0 ] && [ $killed -gt 0 ]
	result $? "$name: $rounds rounds of $n requests, $killed killed, $leaky with leaks" \
		"$errors errors, $differ differ" "$(cat check-failed messages 2>/dev/null)"
}

finish() {
	echo "1..$count"
}
