#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik config and kvik run --config: what a VM was started with, and starting it so again.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_sleep "$work/sleep"
guest_poweroff "$work/poweroff"
truncate -s 1M "$work/a.img" "$work/b.img"
network=() # "run" adds nothing here

# boot ARGUMENTS...: a VM that has begun to run; sets $pid.
boot() {
	: >"$work/console"
	"$kvik" run "$@" </dev/null >"$work/console" 2>"$work/messages" &
	pid=$!
	wait_for 10 [ -s "$work/console" ] || sed 's/^/# /' "$work/messages"
}

end() {
	kill "$pid"
	wait "$pid" 2>/dev/null
}

# -- there and back --

all=(-m 32M -c 2 --name web -d "$work/a.img,ro" -d "$work/b.img,snapshot" -n none --rng
	--balloon -p 'quiet "x" = 1' --kaslr-seed 0x10 --no-reboot --console virtio
	--soft-tlb 8 --satp-mode sv48 "$work/sleep")
run run "${all[@]}" --print-config
is "run --print-config" "$status:$err" "0:"
cp "$work/out" "$work/printed.json"
like "an option with a word" "$out" '"console": "virtio"'
like "a number" "$out" '"cpus": 2,'
like "a size" "$out" '"mem": "32M"'
like "a flag" "$out" '"rng": true'
like "what may be repeated" "$out" \
	'"disk": \['$'\n'" +\"$work/a.img,ro\","$'\n'" +\"$work/b.img,snapshot\""$'\n'
like "quotes" "$out" '"params": "quiet \\"x\\" = 1"'
run run --config "$work/printed.json" --print-config
is "the same again" "$out" "$(<"$work/printed.json")"

boot "${all[@]}"
run config web
is "config: of a running VM" "$status:$out" "0:$(<"$work/printed.json")"
run config -n web --json
is "config: in a line" "$status:$(wc -l <"$work/out")" "0:1"
cp "$work/out" "$work/line.json"
end
boot --config "$work/line.json"
run config web
is "a VM from that" "$status:$out" "0:$(<"$work/printed.json")"
run list --json
like "it is the same VM" "$out" '"name":"web".*"vcpus":2,"memory_bytes":33554432,.*"kernel":"'"$work/sleep"'"'
end

# What depends on the host is told, so that another host makes the same VM of it.
boot -n none "$work/sleep"
run config "guest-$pid"
like "defaults" "$out" '"cpus": [0-9]+,'$'\n''  "mem": [0-9]+,'$'\n''  "name": "guest-'"$pid"'"'
end

(cd "$work" && "$kvik" run --print-config -d a.img sleep) >"$work/out"
like "paths are absolute" "$(<"$work/out")" "\"kernel\": \"$work/sleep\".*\"$work/a.img\""

# -- both --

cat >"$work/base.json" <<EOF
{ "kernel": "$work/poweroff", "mem": 32, "cpus": 1, "disk": ["$work/a.img"], "network": ["none"] }
EOF
run run --config "$work/base.json"
is "a file alone" "$status:$out" "0:hello"
run run --config "$work/base.json" -m 64M -d "$work/b.img" "$work/sleep" --print-config
like "the command line wins" "$out" '"kernel": "'"$work"'/sleep".*"mem": "64M".*b\.img'
unlike "also over what may be repeated" "$out" a.img
run run --config "$work/base.json" --print-config
like "the file else" "$out" '"mem": 32,'

# Each option of -h can stand in a file, but those that are about this start alone.
strange=
while read -r option; do
	case $option in help | config | print-config | detach) continue ;; esac
	echo "{ \"${option/%-/-zbb}\": {} }" >"$work/option.json"
	run run --config "$work/option.json" k
	[[ $err == *"\": {}: is of the wrong kind; give "* ]] || strange+="$option: $err; "
done < <("$kvik" run -h | sed -nE 's/^ +(-[a-z], )?--([a-z0-9-]+).*/\2/p')
is "each option can stand in a file" "$strange" ""

# -- what is refused --

# bad NAME TEXT REGEX: a file with the text is refused in one line that names it.
bad() {
	printf '%b' "$2" >"$work/bad.json"
	refused "$1" "^kvik run: --config $work/bad\.json: $3" run --config "$work/bad.json" \
		"$work/sleep"
}

bad "not JSON" 'mem=5' 'line 1, column [0-9]+: .*; correct it there$'
bad "nothing" '' 'line 1, column 0: '
bad "not an object" '["mem"]' 'is not a JSON object; .*--print-config'
bad "an unknown key" '{"memm": 5}' '"memm" is not an option; did you mean "mem"\?$'
bad "a key like an option" '{"--mem": 5}' '"--mem" is not an option'
bad "a key twice" '{"mem": 64,\n "mem": 32}' 'line 2, column 6: duplicate object key near .*mem'
bad "a wrong type" '{"cpus": true}' '"cpus": true: is of the wrong kind; give a number or a string$'
bad "no number" '{"kernel": 5}' '"kernel": 5: is of the wrong kind; give a string$'
bad "no flag" '{"rng": "yes"}' '"rng": "yes": .*; give true or false$'
bad "no list" '{"disk": "a.img"}' '"disk": "a.img": .*; give an array of strings$'
bad "nested" '{"disk": [{"path": "a.img"}]}' '"disk": \[\{"path":"a.img"\}\]: .*; give an array of strings$'
bad "a wrong value" '{"cpus": 0}' '--cpus 0: is not a number of vCPUs; give 1 to 64$'
bad "a wrong value in a list" '{"disk": ["a.img,rw"]}' "--disk a.img,rw: 'rw' is not an option of a disk; use ro"
bad "a NUL" '{"kernel": "a\\u0000b"}' 'line 1, column [0-9]+: a NUL, which no option can hold'
bad "a raw NUL" '{"kernel": "a\0b"}' 'line 1, column [0-9]+: '
bad "not UTF-8" '{"kernel": "\xff"}' 'line 1, column [0-9]+: '
bad "an escape sequence" '{"mem": "\\u001b[2J"}' '--mem \?\[2J: is not a size'
bad "another file" '{"config": "b.json"}' '"config" cannot stand in a file; leave it out$'
bad "how to start it" '{"detach": true}' '"detach" cannot stand in a file; leave it out$'
bad "deep" "$(printf '[%.0s' {1..9000})" 'line 1, column [0-9]+: '
truncate -s 300K "$work/large"
refused "a large file" "--config $work/large: is larger than 256 KiB" run --config "$work/large" k
refused "a directory" "--config $work: is not a regular file; give a file" run --config "$work" k
mkfifo "$work/fifo"
refused "a FIFO" "--config $work/fifo: is not a regular file" run --config "$work/fifo" k
refused "a device" "--config /dev/zero: is not a regular file" run --config /dev/zero k
refused "no file" "--config: open $work/none: No such file" run --config "$work/none" k
printf '{"cpus": 1}' >"$work/nokernel.json"
refused "no kernel" "^kvik run: no kernel; name one" run --config "$work/nokernel.json"

cp "$work/sleep" "$work/"$'k\xfc'
refused "print-config: a path that is not UTF-8" "is not UTF-8, as JSON must be" \
	run --print-config "$work/"$'k\xfc'
boot -n none --name odd -m 16M "$work/"$'k\xfc'
run config odd
is "config: neither" "$status:$out:$err" \
	"1::kvik config: VM odd: one of its options is not UTF-8, as JSON must be"
end
run config nobody
like "config: of none" "$status:$err" "1:.*no VM called 'nobody' runs"
refused "config: of which?" "which VM\? name one, as in 'kvik config NAME'$" config

finish
