#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of a VM, as its guest sees it: memory taken and given back, time.
. "$(dirname "$0")/lib.sh"
plan 20

export KVIK_RUNTIME_DIR=$work/run
use_modules virtio_mmio virtio_balloon

# vm COMMAND [OPTION...]: the kvik command on the guest; its output in $out.
vm() {
	out=$("$KVIK" "$@" guest 2>"$work/command.err")
}

metric() { # metric SOURCE NAME: its value
	vm stat --json
	sed -nE "s/.*\"source\":\"$1\",\"name\":\"$2\"[^}]*\"value\":([0-9]+).*/\1/p" <<<"$out"
}

resident_mib() { echo $(($(metric process resident_memory) >> 20)); }
free_mib() { echo $(($(metric guest free_memory) >> 20)); }
says() { [[ $out =~ $1 ]]; }

# within SECONDS CONDITION: an arithmetic one.
within() {
	local end=$((SECONDS + $1))

	until eval "(($2))"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# A file of 160 MiB comes and goes.
start_guest '
	dd if=/dev/zero of=/tmp/fill bs=1M count=160 2>/dev/null
	echo filled
	sleep 3
	rm /tmp/fill
	echo removed
	while :; do sleep 0.2; echo tick; done' --name guest -m 384M -c 1 --balloon
ok "a file fills the guest" wait_for '^filled'
full=$(resident_mib)
ok "and the host" [ "$full" -gt 160 ]
ok "the guest tells its free memory" [ "$(free_mib)" -lt 200 ]
ok "the file is removed" wait_for '^removed'
ok "what it took goes back to the host" within 30 "\$(resident_mib) < $full - 100"

free=$(free_mib)
ok "100 MiB are taken" vm balloon --set 100
ok "as asked for" says '^guest: 100 MiB of 384 MiB taken$'
ok "the guest has as much less" within 5 "\$(free_mib) < $free - 80"
low=$(free_mib)
vm balloon --deflate 60 --json
ok "60 MiB are given back" says '"size_bytes":41943040'
ok "the guest has them" within 5 "\$(free_mib) > $low + 20"
vm balloon -i 1G
ok "more than there is" grep -q "a balloon of 1064 MiB is larger than its memory of 384 MiB" \
	"$work/command.err"

vm pause
before=$(wc -c <"$work/out")
sleep 1
ok "a paused guest prints nothing" [ "$(wc -c <"$work/out")" = "$before" ]
vm resume
ok "and then goes on" within 10 "\$(wc -c <'$work/out') > $before"
vm stop --force
wait "$pid"
status=$?
ok "stop" ended_with 143

# An hour passes during a pause, by the host's clock as kvik sees it.
uptimes() { tr -d '\r' <"$work/out" | sed -n 's/^clock: //p' | tr -d .; }
clocks_go_on() {
	uptimes | awk 'before && ($1 < before || $1 - before > 3000) { bad = 1 } { before = $1 } END { exit bad }'
}
if ! type "${CC:-cc}" &>/dev/null; then
	skip 6 "no compiler"
	exit
elif [[ $KVIK == *obj-* ]]; then
	skip 6 "a sanitizer's build does not take a preloaded library"
	exit
fi
"${CC:-cc}" -D_GNU_SOURCE -shared -fPIC -o "$work/skip-time.so" "$top/tests/boot/skip-time.c" -ldl ||
	bail "cannot compile skip-time.c"
export SKIP_TIME=$work/skip
LD_PRELOAD=$work/skip-time.so start_guest '
	while :; do
		echo "clock: $(cut -d " " -f 1 /proc/uptime)"
		sleep 0.5
		dmesg | grep -iE "soft lockup|stall|unstable|blocked for more" && echo complaints
	done' --name guest -m 256M -c 2
ok "a guest that tells its time" wait_for '^clock: '
sleep 2
vm pause
touch "$SKIP_TIME"
sleep 1
out=$("$KVIK" list --json)
ok "the VM's own clock has jumped" says '"uptime_seconds":36[0-9][0-9]'
ticks=$(uptimes | wc -l)
vm resume
ok "its timers come due after the hour" within 20 "\$(uptimes | wc -l) > $ticks + 8"
ok "its clock has not seen the hour" clocks_go_on
ok "the kernel has no complaints" prints_times 0 '^complaints'
vm stop --force
wait "$pid"
status=$?
ok "stop after the hour" ended_with 143
