# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for kvik: commands and options as kvik itself tells them, and running VMs.

function __kvik_command
    set -l words (commandline -opc)
    test (count $words) -gt 1; and echo $words[2]
end

# "--option<tab>what it does", from the command's -h.
function __kvik_options
    kvik (__kvik_command) -h 2>/dev/null | string replace -rf '^ +(?:-\w, )?(--[a-z0-9-]+)\S*(?: [A-Z]\S*)? +(\S.*)' '$1\t$2'
end

set -l for_vms balloon config console debug events pause resume stat stop wait

complete -c kvik -f -n __fish_use_subcommand \
    -a '(kvik help 2>/dev/null | string replace -rf "^  ([a-z]+) +(.*)" "\$1\t\$2")'
complete -c kvik -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' \
    -f -a '(__kvik_options)'
complete -c kvik -f -n "__fish_seen_subcommand_from $for_vms" -a '(kvik list -q 2>/dev/null)'
complete -c kvik -F -n '__fish_seen_subcommand_from run disk'
complete -c kvik -F -n '__fish_seen_subcommand_from debug; and string match -q -- --symbols (commandline -opc)[-1]'
