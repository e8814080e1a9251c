#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# help, version, and what is no command.
. "$(dirname "$0")/lib.sh"

commands='balloon config console debug disk events help list pause resume run stat stop version wait'

# -- help --

run help
is "help succeeds" "$status" 0
is "help leaves stderr empty" "$err" ""
like "help begins with the usage" "$out" ^'usage: kvik '
is "help lists the commands, sorted" \
	"$(sed -n 's/^  \([a-z]*\) .*/\1/p' "$work/out" | tr '\n' ' ')" "$commands "
help=$out
for spelling in --help -h; do
	run $spelling
	is "kvik $spelling is help" "$status:$out" "0:$help"
done

for command in $commands; do
	run "$command" -h
	is "$command -h succeeds" "$status" 0
	is "$command -h leaves stderr empty" "$err" ""
	like "$command -h begins with the usage" "$out" ^"usage: kvik $command"
	of_command=$out
	is "$command -h fits a terminal" "$(awk 'length > 80' "$work/out")" ""
	run "$command" --help
	is "$command --help is the same" "$out" "$of_command"
	run help "$command"
	is "help $command is the same" "$status:$out" "0:$of_command"
	run --help "$command"
	is "--help $command is the same" "$status:$out" "0:$of_command"
done

refused "help on no command" "kvik.*'rnu' is not a command; did you mean 'run'\?" help rnu
refused "help on two commands" "too many arguments: 'run'" help version run

"$kvik" help >/dev/full 2>"$work/err"
is "help that cannot be written fails" $? 125
like "and says so" "$(cat "$work/err")" 'write to stdout: No space left'

# -- no command, unknown command --

run
is "no command fails" "$status" 125
is "no command leaves stdout empty" "$out" ""
is "no command shows the help on stderr" "$err" "$help"

refused "an unknown command near one" "^kvik: 'rnu' is not a command; did you mean 'run'\?$" rnu
refused "another" "'verison' is not a command; did you mean 'version'\?" verison
refused "an unknown command near none" "^kvik: 'frobnicate' is not a command; 'kvik help'" frobnicate
refused "an empty command" "'' is not a command" ""
refused "an option of a command before it" "unknown option '-k'.*kvik help" -k vmlinux
refused "an unknown option" "unknown option '--frob'" --frob

# -- version --

run version
is "version" "$status:$out:$err" "0:kvik version 0.1.0:"
for spelling in --version -v; do
	run $spelling
	is "kvik $spelling" "$status:$out" "0:kvik version 0.1.0"
done
run version --build-options
is "version --build-options succeeds" "$status" 0
like "it begins with the version" "$out" ^'kvik version 0.1.0'$'\n'
like "it names the compiler" "$out" $'\n''compiler: .*(gcc|[Cc]lang) '
like "it names libraries with versions" "$out" $'\n''libraries: .*zlib [0-9.]+, zstd [0-9.]+'
like "it names how kernels may be packed" "$out" $'\n''kernels packed by: gzip, zstd'
like "it names the architectures" "$out" $'\n''architectures: .*riscv64'
like "it names the accelerators" "$out" $'\n''accelerators: .*soft'
refused "version with an argument" "unexpected argument 'x'" version x
refused "version with an unknown option" "kvik version: .*frob" version --frob

finish
