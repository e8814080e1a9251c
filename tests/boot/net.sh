# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the network tests, before and instead of lib.sh: a network of the test's own.
# shellcheck shell=bash
#
# The test runs again in a network and mount namespace, where its loopback device, its
# ports and its /etc/resolv.conf are no one else's. Guests get a virtio-net device, a DHCP
# client that configures it, and netpeer, which runs on both sides.

# shellcheck source=tests/boot/isolate.sh
. "$(dirname "$0")/isolate.sh"
isolate mn "no namespaces for a network of its own" "$@"
# shellcheck source=tests/boot/lib.sh
. "$here/lib.sh"
# shellcheck disable=SC2034 # lib.sh has it
network=() # each guest says which

build_netpeer() { # build_netpeer COMPILER OUT [FLAG...]
	local compiler=$1 out=$2
	shift 2

	"$compiler" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra "$@" -o "$out" "$here/netpeer.c" \
		>"$work/cc" 2>&1 || bail "cannot build netpeer: $(head -n 3 "$work/cc")"
}

type riscv64-linux-gnu-gcc &>/dev/null || skip_all "no riscv64-linux-gnu-gcc"
netpeer=$work/netpeer
build_netpeer "${CC:-cc}" "$netpeer"
build_netpeer riscv64-linux-gnu-gcc "$work/netpeer-guest" -static
"$netpeer" lo || bail "no loopback device"

cat >"$work/dhcp" <<'EOS'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
for server in $dns; do
	echo "nameserver $server"
done >/etc/resolv.conf
EOS
use_modules virtio_mmio virtio_net -- "$work/netpeer-guest:bin/netpeer" "$work/dhcp:etc/dhcp"

# What guests begin with: eth0 by DHCP.
# shellcheck disable=SC2034 # for the tests
dhcp='ip link set lo up; ip link set eth0 up; udhcpc -i eth0 -n -q -t 5 -T 1 -s /etc/dhcp
'

# background COMMAND...: ends with the test; waits until it says that it serves.
background_pids=()
background() {
	local log=$work/background.${#background_pids[@]} i

	"$@" >"$log" 2>&1 &
	background_pids+=($!)
	for ((i = 0; i < 100; i++)); do
		grep -q serving "$log" && return
		sleep 0.05
	done
	bail "$* did not start: $(tail -n 1 "$log")"
}

stop_background() {
	[ ${#background_pids[@]} = 0 ] || kill "${background_pids[@]}" 2>/dev/null
	[ -z "${pid:-}" ] || kill "$pid" 2>/dev/null
	wait
}
trap 'stop_background; rm -rf "$work"' EXIT

# within SECONDS COMMAND...: until it succeeds.
within() {
	local end=$((SECONDS + $1))
	shift

	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}
