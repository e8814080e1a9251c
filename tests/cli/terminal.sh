# SPDX-License-Identifier: GPL-2.0-or-later
# kvik on terminals, which script(1) makes. Sourced.
# shellcheck shell=bash
#
# What runs there is the script $work/session. It leaves the terminal's modes in $work/before
# and $work/after and kvik's exit status in $work/status.

has_terminals() { command -v script >/dev/null; }

# open_terminal ARGUMENT...: the session on a terminal of its own, in the background.
# What is written to descriptor 8 is typed; $work/screen is what it shows.
open_terminal() {
	rm -f "${work:?}"/{status,after,pid,screen,keys}
	mkfifo "$work/keys"
	: >"$work/screen"
	SHELL=/bin/bash timeout -k 5 30 script -qefc \
		"bash $work/session $*" "$work/screen" <"$work/keys" >/dev/null 2>&1 &
	script_pid=$!
	exec 8>"$work/keys"
}

screen_shows() { wait_for 10 grep -q "$1" "$work/screen" || not_ok "the screen shows $1" \
	"$(cat "$work/screen")"; }

type_keys() { printf '%b' "$1" >&8; }

# closed NAME STATUS: the session ends, with that status and the terminal as before.
closed() {
	wait_for 10 test -s "$work/after" || not_ok "$1: it ends" "$(cat "$work/screen")"
	exec 8>&-
	wait "$script_pid" 2>/dev/null
	is "$1: status" "$(cat "$work/status" 2>/dev/null)" "$2"
	is "$1: the terminal is as before" "$(cat "$work/after")" "$(cat "$work/before")"
}
