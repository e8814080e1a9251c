#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of commands, options and names of VMs, in the shells that are there.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

completions=$top/completions
mkdir "$work/bin"
ln -s "$kvik" "$work/bin/kvik"
export PATH=$work/bin:$PATH

guest_sleep "$work/sleep"
"$kvik" run -n none --name my-guest -m 16M -c 1 "$work/sleep" </dev/null >"$work/out" 2>&1 &
pid=$!
wait_for 10 grep -q ready "$work/out"

# in_bash WORD...: what completes the last one.
in_bash() {
	bash -c '. "$1"; shift; COMP_WORDS=(kvik "$@"); COMP_CWORD=$#; _kvik; echo "${COMPREPLY[*]}"' \
		- "$completions/kvik.bash" "$@"
}

is "bash: commands" "$(in_bash re)" "resume"
is "bash: names" "$(in_bash stop m)" "my-guest"
is "bash: options" "$(in_bash stop --ti)" "--timeout"
like "bash: short ones, too" " $(in_bash run -) " ' -m --mem '
is "bash: values" "$(in_bash run --accel k)" "kvm"
is "bash: files, not VMs" "$(in_bash debug --symbols m 2>/dev/null)" ""
is "bash: of help" "$(in_bash help ver)" "version"

if command -v fish >/dev/null; then
	export HOME=$work
	in_fish() { fish -c "source '$completions/kvik.fish'; complete -C '$1'" | cut -f 1 | tr '\n' ' '; }
	is "fish: commands" "$(in_fish 'kvik resu')" "resume "
	is "fish: names" "$(in_fish 'kvik stop my')" "my-guest "
	touch "$work/my-symbols"
	is "fish: files" "$(in_fish "kvik debug --symbols $work/my-s")" "$work/my-symbols "
	is "fish: options" "$(in_fish 'kvik stop --time')" "--timeout "
else
	skip "fish" "it is not installed"
fi
if command -v zsh >/dev/null; then
	# Its completion needs a terminal: the functions that show the matches are played.
	in_zsh() {
		zsh -fc '_describe() { print -l -- ${(P)2} } ; _files() { print files }
			completion=$1; shift; words=(kvik "$@"); CURRENT=$#words; PREFIX=$words[-1]
			. $completion' - "$completions/_kvik" "$@" | cut -d : -f 1 | grep -e "^${*: -1}" |
			tr '\n' ' '
	}
	is "zsh: commands" "$(in_zsh resu)" "resume "
	is "zsh: names" "$(in_zsh stop my)" "my-guest "
	is "zsh: options" "$(in_zsh stop --time)" "--timeout "
	is "zsh: files" "$(in_zsh run f)" "files "
	is "zsh: files of debug" "$(in_zsh debug --symbols f)" "files "
else
	skip "zsh" "it is not installed"
fi

kill "$pid"
wait "$pid"
finish
