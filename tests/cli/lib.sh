# SPDX-License-Identifier: GPL-2.0-or-later
# What the command line tests share: TAP output, running kvik, waiting. Sourced.
# shellcheck shell=bash
set -u
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
kvik=${KVIK:-$top/kvik}
if [ ! -x "$kvik" ]; then
	echo "Bail out! $kvik is not there; run make"
	exit 1
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export KVIK_RUNTIME_DIR=$work/run # names of VMs: nobody else's

tests_run=0
tests_failed=0

# pass NAME / not_ok NAME [DETAIL...]: one TAP line, and why.
pass() {
	tests_run=$((tests_run + 1))
	echo "ok $tests_run - $1"
}

not_ok() {
	tests_run=$((tests_run + 1))
	tests_failed=$((tests_failed + 1))
	echo "not ok $tests_run - $1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
}

skip() { # NAME REASON
	tests_run=$((tests_run + 1))
	echo "ok $tests_run - $1 # SKIP $2"
}

is() { # NAME GOT WANTED
	if [ "$2" = "$3" ]; then pass "$1"; else not_ok "$1" "got:    $2" "wanted: $3"; fi
}

like() { # NAME TEXT REGEX
	if [[ $2 =~ $3 ]]; then pass "$1"; else not_ok "$1" "got: $2" "no match for: $3"; fi
}

unlike() { # NAME TEXT REGEX
	if [[ $2 =~ $3 ]]; then not_ok "$1" "got: $2" "matches: $3"; else pass "$1"; fi
}

finish() {
	echo "1..$tests_run"
	[ "$tests_failed" = 0 ]
	exit
}

# What "run run" adds to the options: no helper program starts for a guest that has no use
# for a network.
network=(-n none)

# Runs kvik without input for at most 20 s. Sets $status, $out, $err.
run() {
	if [ "${1-}" = run ]; then
		shift
		set -- run ${network[@]+"${network[@]}"} "$@"
	fi
	timeout -k 5 "${limit_s:-20}" "$kvik" "$@" <"${input:-/dev/null}" >"$work/out" 2>"$work/err"
	status=$?
	out=$(tr -d '\0' <"$work/out")
	err=$(tr -d '\0' <"$work/err")
}

# refused NAME REGEX ARGUMENTS...: exit status 125, nothing on stdout, and one line
# on stderr that matches.
refused() {
	local name=$1 wanted=$2 problem=

	shift 2
	run "$@"
	[ "$status" = 125 ] || problem+="status $status; "
	[ -z "$out" ] || problem+="output; "
	[ "$(wc -l <"$work/err")" = 1 ] || problem+="not one line; "
	[[ $err =~ $wanted ]] || problem+="no match for: $wanted; "
	if [ -z "$problem" ]; then
		pass "$name"
	else
		not_ok "$name" "$problem" "stderr: $err" "stdout: $out"
	fi
}

# wait_for SECONDS COMMAND...: true as soon as the command is.
wait_for() {
	local deadline=$((SECONDS + $1 + 1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}
