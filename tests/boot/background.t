#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock guest in the background: its shell is talked to by kvik console, and it ends well.
. "$(dirname "$0")/lib.sh"

export KVIK_RUNTIME_DIR=$work/run
trap '"$KVIK" stop --force --all >/dev/null 2>&1; rm -rf "$work"' EXIT
status=- # there is no other one to show

use_modules virtio_mmio
# A shell that reads commands from the console, as a login would.
make_initrd 'echo "shell ready"; while read -r line; do eval "$line"; done'

# has FILE REGEX: a file with output of the console, within the time of a guest.
has() {
	local end=$((SECONDS + GUEST_TIMEOUT))

	until tr -d '\r' <"$work/$1" | grep -aqE -- "$2"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# ask COMMAND: what the console shows from when it is typed until 3 s after its answer.
ask() {
	echo "$1" | timeout "$GUEST_TIMEOUT" "$KVIK" console --no-history --linger 3 guest >"$work/out" 2>"$work/err"
}

plan 16
for console in serial virtio; do
	"$KVIK" run --detach --name guest --log "$work/log" -m 128M -c 2 --console $console \
		--initrd "$work/initrd" "${network[@]}" "$kernel" >"$work/name" 2>"$work/err"
	ok "$console: it runs in the background" [ "$?:$(<"$work/name")" = 0:guest ]
	timeout "$GUEST_TIMEOUT" "$KVIK" console --read-only guest </dev/null >"$work/view" 2>/dev/null &
	viewer=$!
	ok "$console: a viewer sees it boot" has view '^shell ready'
	ask 'echo $((6 * 7)) CPUs: $(nproc)'
	ok "$console: a command and its answer" prints '^42 CPUs: 2$'
	ok "$console: another viewer sees them, too" has view '^42 CPUs: 2$'
	ask 'dmesg | head -n 400; echo that was all'
	ok "$console: much at once" prints '^that was all$'
	ok "$console: nothing of it is missing" [ "$(grep -ac kvik: "$work/out")" = 0 ]
	ask 'poweroff -f'
	wait "$viewer"
	ok "$console: viewers learn of the end" reports 'VM guest: has ended: powered off'
	ok "$console: the log has all of it" cmp "$work/log" "$work/view"
	rm "$work/log"
done
