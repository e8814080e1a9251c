#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The console on a terminal: raw while the guest runs, its keys, and restored on
# every way out. script(1) makes the terminals.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

. "$here/terminal.sh"

if ! has_terminals; then
	echo "1..0 # SKIP script(1) is not installed (package bsdutils)"
	exit
fi

for guest in sleep echo poweroff; do
	guest_$guest "$work/$guest"
done
guest_panic "$work/panic" 1

# What runs on the terminal; its arguments are those of kvik run.
cat >"$work/session" <<EOT
tty >$work/tty
stty -g >$work/before
sh -c 'echo \$\$ >$work/pid; exec "\$@"' sh "$kvik" run -n none "\$@"
echo \$? >$work/status
stty -g >$work/after
EOT

settings() { stty -F "$(cat "$work/tty")" -a; }

# -- while it runs --

open_terminal "$work/echo" --name test
screen_shows 'Ctrl-a x ends the VM, Ctrl-a h lists the keys'
screen_shows ready
like "raw while the guest runs" "$(settings)" '-icanon.*-echo '
type_keys 'ab\003c'
screen_shows $'ab\003c'
pass "Ctrl-c goes to the guest"
type_keys '\001\001'
screen_shows $'c\001'
pass "Ctrl-a Ctrl-a sends one Ctrl-a"
unlike "and only one" "$(cat "$work/screen")" $'c\001\001'
type_keys '\001h'
screen_shows 'Ctrl-a.* x'
pass "Ctrl-a h lists the keys"
type_keys '\001z'
type_keys '!'
screen_shows '!'
pass "another key after Ctrl-a ends nothing"
type_keys '\001x'
closed "Ctrl-a x" 0
like "the shell's prompt begins a line" "$(cat "$work/screen")" $'!\r\n'
is "each line of kvik's ends with CR LF" \
	"$(grep -E '^(test:|Ctrl-a)' "$work/screen" | grep -vc $'\r$')" 0

# -- every way out --

open_terminal "$work/poweroff"
closed "poweroff" 0

open_terminal "$work/panic"
closed "panic" 255
is "its lines are not shown twice" "$(grep -c 'line 30' "$work/screen")" 1
like "the reason is" "$(cat "$work/screen")" 'the guest died: Kernel panic'

open_terminal "$work/sleep"
screen_shows ready
pid=$(cat "$work/pid")
kill -TERM "$pid"
closed "kill -TERM" 143

# A sanitizer would take these signals for itself.
for sanitizer in ASAN UBSAN TSAN; do
	declare -n options=${sanitizer}_OPTIONS
	export ${sanitizer}_OPTIONS="${options:-}:handle_segv=0:handle_abort=0:handle_sigbus=0"
done
for signal in SEGV ABRT BUS; do
	open_terminal "$work/sleep"
	screen_shows ready
	(ulimit -c 0; kill -$signal "$(cat "$work/pid")")
	closed "a crash by SIG$signal" $((128 + $(kill -l $signal)))
done

open_terminal "$work/none"
closed "a kernel that is not there" 125

finish
