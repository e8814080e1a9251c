#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# -h and the man pages name the same options, in the same order, in the same words.
. "$(dirname "$0")/lib.sh"

man=$top/docs/man

# Prints "option argument: help" for each option in the -h of command $1.
from_help() {
	"$kvik" "$1" -h | awk '
		function flush() { if (option != "") print option ": " help; option = "" }
		# "  -c, --cpus N   text", with the text perhaps on the next line.
		/^ +-/ {
			flush()
			line = $0
			sub(/^ +/, "", line)
			at = match(line, /   */)
			option = at ? substr(line, 1, at - 1) : line
			help = at ? substr(line, at) : ""
			sub(/^ +/, "", help)
			next
		}
		/^ +[^ ]/ && option != "" && help == "" { sub(/^ +/, ""); help = $0; next }
		{ flush() }
		END { flush() }' | grep -v '^-h, --help: '
}

# The same from the source of man page $1: the .It lines with Fl, and the first
# sentence behind each.
from_man() {
	awk '
		/^\.It Fl/ {
			line = $0
			sub(/^\.It /, "", line)
			gsub(/ Ns /, "", line)
			gsub(/Oo ,/, "[,", line)
			gsub(/ Oc/, "]", line)
			gsub(/Fl /, "-", line)
			gsub(/Ar /, "", line)
			gsub(/ , /, ", ", line)
			option = line
			next
		}
		option != "" { sub(/\.$/, ""); print option ": " $0; option = "" }' "$1"
}

for command in balloon config console debug disk events help list pause resume run stat stop version wait; do
	from_help "$command" >"$work/help"
	from_man "$man/kvik-$command.1" >"$work/man"
	is "$command: -h and the man page agree" "$(diff "$work/help" "$work/man")" ""
	summary=$("$kvik" help | sed -n "s/^  $command  *//p")
	from_page=$(sed -n 's/^\.Nd //p' "$man/kvik-$command.1")
	is "$command: the same summary in the man page" "$from_page" "${summary,}"
	like "$command: kvik.1 has the summary" "$(cat "$man/kvik.1")" \
		"It Cm $command"$'\n'"$summary"
done
like "the options of run were found" "$("$kvik" run -h | wc -l)" '^[2-9][0-9]$'
is "from_help sees every option, --help apart" "$(from_help run | wc -l)" \
	"$(($("$kvik" run -h | grep -cE '^ +(-[a-z], )?--[a-z]') - 1))"

# Every exit status that the code has stands in the page.
statuses=$(sed -n 's/^\tVM_STATUS_[A-Z]* = \([0-9]*\),.*/\1/p' "$top/include/vm.h")
is "the statuses were found" "$(wc -w <<<"$statuses")" 3
while read -r number; do
	like "status $number is documented" "$(cat "$man/kvik-run.1")" $'\n'".It $number"$'\n'
done <<<"$statuses"

if command -v mandoc >/dev/null; then
	for page in "$man"/*.[158]; do
		is "$(basename "$page") is clean" \
			"$(mandoc -T lint -W warning "$page" 2>&1 | grep -v 'referenced manual not found')" ""
	done
else
	skip "the pages are clean" "mandoc is not installed"
fi

finish
