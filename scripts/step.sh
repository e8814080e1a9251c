# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced: shows the steps of a long job, one line each, with their time.
#
# On a terminal a running step shows a spinner and, where the command writes apt's
# status lines to descriptor 3, a percentage; otherwise only the finished line.
# shellcheck shell=bash

step_dir=$(mktemp -d) || exit 1
step_pid=
trap step_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

step_cleanup() {
	[ -z "$step_pid" ] || kill "$step_pid" 2>/dev/null
	rm -rf "$step_dir"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The newest "dlstatus:N:PERCENT:..." or "pmstatus:...:PERCENT:...", if any.
step_percent() {
	sed -n 's/^[dp][lm]status:[^:]*:\([0-9]*\)[^0-9].*/ \1 %/p' "$step_dir/status" | tail -n 1
}

step_spin() {
	local title=$1 marks='-+x+' i=0

	while kill -0 "$step_pid" 2>/dev/null; do
		printf '\r  %s %s%s\033[K' "${marks:i++ % 4:1}" "$title" "$(step_percent)" >&2
		sleep 0.2
	done
	printf '\r\033[K' >&2
}

# step TITLE COMMAND...: runs it; what it prints is shown only if it fails, and then
# ends the script.
step() {
	local title=$1 status=0 begin=$SECONDS
	shift

	: >"$step_dir/status"
	"$@" >"$step_dir/log" 2>&1 3>>"$step_dir/status" </dev/null &
	step_pid=$!
	[ ! -t 2 ] || step_spin "$title"
	wait "$step_pid" || status=$?
	step_pid=
	if [ "$status" != 0 ]; then
		printf '  FAILED  %s\n' "$title" >&2
		tail -n 30 "$step_dir/log" | sed 's/^/    /' >&2
		exit "$status"
	fi
	printf '  ok      %s (%d s)\n' "$title" $((SECONDS - begin)) >&2
}
