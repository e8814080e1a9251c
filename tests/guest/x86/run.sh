#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the built x86-64 programs on KVM and compares; TAP. Needs no more than busybox.
#
# usage: KVIK=PATH tests/guest/x86/run.sh DIR
#
# DIR holds the programs, "list" and *.expect, as tests/guest/x86.t leaves them.
set -u
kvik=${KVIK:?names the kvik to test}
dir=${1:?usage: run.sh DIR}
out=$dir/out
err=$dir/err

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# run NAME CPUS SECONDS OPTION...
run() {
	name=$1 cpus=$2 seconds=$3
	shift 3
	timeout "$seconds" "$kvik" run --accel kvm -n none -c "$cpus" -m 64M "$@" -k "$dir/$name" \
		</dev/null >"$out" 2>"$err"
}

# The same for a program that never ends: it has until its seconds are over to print all
# that it is to print, then it is sent SIGTERM.
run_on() {
	name=$1 cpus=$2 seconds=$3
	shift 3
	: >"$out"
	"$kvik" run --accel kvm -n none -c "$cpus" -m 64M "$@" -k "$dir/$name" </dev/null >"$out" 2>"$err" &
	pid=$!
	while [ "$seconds" != 0 ] && differences "$name" | grep -qv '^no message'; do
		sleep 1
		seconds=$((seconds - 1))
	done
	[ "$seconds" != 0 ] || echo "printed too late" >>"$out"
	kill "$pid"
	wait "$pid"
}

# Prints how the output of program $1 differs from what is expected; nothing if it
# does not.
differences() {
	exec 3<"$out"
	while IFS= read -r want; do
		case $want in
		'stderr: '*)
			grep -qF -e "${want#stderr: }" "$err" || echo "no message '${want#stderr: }'"
			continue
			;;
		esac
		IFS= read -r got <&3 || got='(the end)'
		[ "$want" = '*' ] || [ "$got" = "$want" ] || echo "'$got' instead of '$want'"
	done <"$dir/$1.expect"
	! IFS= read -r got <&3 || echo "'$got' is too much"
	exec 3<&-
}

# A VM that cannot be made here is a reason, not a failure.
run hello 1 20
why=$(sed -n 's/.*--accel kvm: //p' "$err" | head -n 1)
[ -z "$why" ] || skip_all "no KVM: $why"
! grep -q 'this kvik runs' "$err" || skip_all "this kvik has no x86-64 machine"

total=$(grep -c '^[a-z]' "$dir/list")
echo "1..$total"
number=0 failed=0
while read -r name cpus seconds status options; do
	case $name in '' | '#'*) continue ;; esac
	[ "$options" != - ] || options=
	how=run
	[ "$status" != 143 ] || how=run_on
	# shellcheck disable=SC2046 # one word an option
	$how "$name" "$cpus" "$seconds" $(echo "$options" | tr , ' ')
	got_status=$?
	number=$((number + 1))
	wrong=$(differences "$name")
	[ "$got_status" = "$status" ] || wrong="status $got_status, not $status
$wrong"
	if [ -z "$wrong" ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		echo "$wrong" | sed 's/^/#   /'
		head -n 20 "$err" | sed 's/^/# kvik: /'
		failed=1
	fi
done <"$dir/list"
exit $failed
