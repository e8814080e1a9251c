#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs each fuzzer for a while; TAP, one result a fuzzer.
#
# FUZZERS are the programs, FUZZ_SECONDS the time for each, FUZZ_WORK the directory that
# keeps what they find interesting, and what made them fail. tests/fuzz/corpus/NAME has
# the inputs that each starts with.
set -u
here=$(cd "$(dirname "$0")" && pwd)
read -ra fuzzers <<<"${FUZZERS:?}"
jobs=$(nproc)

# fuzz FUZZER NAME: leaves what it said in NAME.log, and its status in NAME.status.
fuzz() {
	local seeds=$here/corpus/${2#fuzz_} work=$FUZZ_WORK/$2
	local -a corpus=("$work")

	mkdir -p "$work"
	[ ! -d "$seeds" ] || corpus+=("$seeds")
	"$1" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$FUZZ_WORK/$2-" "${corpus[@]}" >"$work.log" 2>&1
	echo $? >"$work.status"
}

for fuzzer in "${fuzzers[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	fuzz "$fuzzer" "${fuzzer##*/}" &
done
wait

failed=0 count=0
echo "1..${#fuzzers[@]}"
for fuzzer in "${fuzzers[@]}"; do
	name=${fuzzer##*/}
	work=$FUZZ_WORK/$name
	count=$((count + 1))
	if [ "$(cat "$work.status")" = 0 ]; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work.log")
		echo "ok $count - $name: ${runs:-?} runs in $FUZZ_SECONDS s"
	else
		failed=1
		echo "not ok $count - $name"
		tail -n 40 "$work.log" | sed 's/^/# /'
	fi
done
exit $failed
