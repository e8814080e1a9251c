#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs test programs that speak TAP and ends with one line "N passed, N failed".
#
# usage: tests/run.sh PROGRAM...
#
# A program may be a script or a cmocka binary. What counts is not only what it says:
# one that crashes, hangs, exits with an error without naming a failed test, or runs
# fewer or more tests than it planned, adds a failure. So does one in which a sanitizer
# found something, be it in a process whose status nobody asks for. TEST_TIMEOUT is the
# time in seconds that each program gets, TEST_JOBS how many run at once (default: as many
# as there are CPUs).
set -u
export LC_ALL=C
# What makes cmocka print TAP.
export CMOCKA_MESSAGE_OUTPUT=TAP
limit_s=${TEST_TIMEOUT:-300}

jobs=${TEST_JOBS:-$(nproc)}

# For program number N: N.log is what it said, N.sanitizer.PID what a sanitizer said in one of
# its processes, N.report what there is to say of it, and N.sum, which comes last, the sums.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

passed=0 failed=0 skipped=0

# Reads TAP; prints "passed failed skipped complaint". A program may print several
# groups, each with its plan and its own numbering (cmocka does).
count_tap() {
	awk '
	function complain(text) { if (why == "") why = text }
	/^1\.\.[0-9]+/ {
		planned += substr($1, 4); plans++; fresh = 1
		if ($1 == "1..0" && toupper($0) ~ /# *SKIP/) skip++
	}
	/^(not )?ok( |$)/ {
		bad = ($1 == "not"); n = bad ? $3 : $2
		if (n !~ /^[0-9]+$/) complain("a result without a number")
		else if (n != last + 1 && !(fresh && n == 1)) complain("results out of order at " n)
		last = n; fresh = 0; seen++
		if (toupper($0) ~ /# *SKIP/) skip++
		else if (bad) fail++
		else pass++
	}
	/^Bail out!/ { complain("bailed out") }
	END {
		if (!plans) complain("no plan")
		else if (seen != planned) complain("planned " planned + 0 " tests, ran " seen + 0)
		print pass + 0, fail + 0, skip + 0, why
	}' "$1"
}

# Says why status $1 of a program that saw $2 failures is wrong, if it is.
judge_status() {
	if [ "$1" = 124 ] || [ "$1" = 137 ]; then
		echo "did not end within $limit_s s, or was killed"
	elif [ "$1" -gt 128 ]; then
		echo "ended by signal $(($1 - 128))"
	elif [ "$1" != 0 ] && [ "$2" = 0 ]; then
		echo "exit status $1"
	fi
}

# Has sanitizers write into files that begin with $1, since programs compare what kvik says.
sanitizers_write() {
	local name

	for name in ASAN LSAN TSAN UBSAN; do
		declare -n options=${name}_OPTIONS
		export "${name}_OPTIONS=${options:+$options:}log_path=$1"
	done
}

# Prints what sanitizers found. A thread that is past its end when LeakSanitizer looks at all
# threads' registers is none of that, but it says so.
sanitizers_found() {
	cat "$1".* 2>/dev/null | grep -v '^==[0-9]*==Unable to get registers from thread [0-9]*\.$'
}

# run_one NUMBER PROGRAM
run_one() {
	local log=$work/$1.log sanitizer=$work/$1.sanitizer
	local program=$2 status p f s why verdict=ok start=$SECONDS

	[[ $program == */* ]] || program=./$program
	sanitizers_write "$sanitizer"
	timeout -k 10 "$limit_s" "$program" >"$log" 2>&1 </dev/null
	status=$?
	read -r p f s why < <(count_tap "$log")
	if [ -z "$why" ]; then
		why=$(judge_status "$status" "$f")
	else
		why+="; exit status $status"
	fi
	if sanitizers_found "$sanitizer" >>"$log"; then
		why=${why:+$why; }"a sanitizer found something"
	fi
	[ -z "$why" ] || f=$((f + 1))
	[ "$f" = 0 ] || verdict=FAILED
	[ "$f" != 0 ] || [ "$p" != 0 ] || verdict=skipped
	{
		printf '%-8s %s (%d in %d s)\n' "$verdict" "$2" $((p + f + s)) $((SECONDS - start))
		if [ "$f" != 0 ]; then
			sed 's/^/    /' "$log"
			[ -z "$why" ] || printf '    %s: %s\n' "$2" "$why"
		elif [ "$s" != 0 ]; then
			grep -i '# *skip' "$log" | sed 's/^/    /'
		fi
	} >"$work/$1.report"
	rm -f "$log" "$sanitizer".*
	echo "$p $f $s" >"$work/$1.sum.new"
	mv "$work/$1.sum.new" "$work/$1.sum"
}

# Shows what is there, in the programs' order.
shown=0
show_reports() {
	local p f s

	while [ -e "$work/$shown.sum" ]; do
		cat "$work/$shown.report"
		read -r p f s <"$work/$shown.sum"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		shown=$((shown + 1))
	done
}

number=0
for program in "$@"; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
		show_reports
	done
	run_one "$number" "$program" &
	number=$((number + 1))
done
while [ "$shown" -lt "$number" ] && wait -n; do
	show_reports
done
show_reports
if [ "$shown" != "$number" ]; then
	echo "tests/run.sh: $((number - shown)) programs left no result" >&2
	failed=$((failed + number - shown))
fi
if [ $((passed + failed + skipped)) = 0 ]; then
	echo "tests/run.sh: nothing ran" >&2
	failed=1
fi
printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" = 0 ] || printf ', %d skipped' "$skipped"
echo
[ "$failed" = 0 ]
