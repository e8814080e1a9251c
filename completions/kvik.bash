# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for kvik: commands and options as kvik itself tells them, and running VMs.
# shellcheck shell=bash

# The options of command $1 that begin with a hyphen, from its -h.
_kvik_options() {
	kvik "$1" -h 2>/dev/null | sed -nE 's/^ +(-[A-Za-z0-9]), (--[a-z0-9-]+).*/\1\n\2/p; s/^ {6}(--[a-z0-9-]+).*/\1/p'
}

_kvik_commands() {
	kvik help 2>/dev/null | sed -nE 's/^  ([a-z]+) .*/\1/p'
}

_kvik() {
	local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
	local before=${COMP_WORDS[COMP_CWORD - 1]} words=

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words=$(_kvik_commands)
	elif [[ $word == -* ]]; then
		words=$(_kvik_options "$command")
	else
		case $command:$before in
		help:*) words=$(_kvik_commands) ;;
		run:--accel) words="auto kvm soft" ;;
		run:--console) words="serial virtio" ;;
		run:--loglevel) words="error warning info debug" ;;
		wait:--for) words="stopped paused running" ;;
		debug:--symbols)
			compopt -o default # files
			return
			;;
		debug:-m | debug:--nmi | debug:-s | debug:--sysrq | debug:--kaslr-offset) ;;
		balloon:-i | balloon:-d | balloon:--set | balloon:--inflate | balloon:--deflate) ;;
		balloon:* | config:* | console:* | debug:* | events:* | pause:* | resume:* | stat:* | stop:* | wait:*)
			words=$(kvik list -q 2>/dev/null)
			;;
		*)
			compopt -o default # files
			return
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _kvik kvik
