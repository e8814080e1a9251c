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
failed=0 count=0

echo "1..${#fuzzers[@]}"
for fuzzer in "${fuzzers[@]}"; do
	name=${fuzzer##*/}
	work=$FUZZ_WORK/$name
	seeds=$here/corpus/${name#fuzz_}
	count=$((count + 1))
	mkdir -p "$work"
	corpus=("$work")
	[ ! -d "$seeds" ] || corpus+=("$seeds")
	"$fuzzer" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$FUZZ_WORK/$name-" "${corpus[@]}" \
		>"$work.log" 2>&1
	status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work.log")
	if [ $status = 0 ]; then
		echo "ok $count - $name: ${runs:-?} runs in $FUZZ_SECONDS s"
	else
		failed=1
		echo "not ok $count - $name"
		tail -n 40 "$work.log" | sed 's/^/# /'
	fi
done
exit $failed
