#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Networks by what others make: a macvtap, a tap from QEMU's bridge helper, passt. Each part
# is left out where this host lacks it.
. "$(dirname "$0")/net.sh"

type ip &>/dev/null || skip_all "no ip(8)"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"
plan 20

background "$netpeer" serve 0.0.0.0 7000

static() { # static ADDRESS: the guest has it
	echo "ip link set lo up; ip link set eth0 up; ip addr add $1 dev eth0"
}

transfers='
	i=0
	until ping -c 1 -W 1 $HOST >/dev/null || [ $i = 15 ]; do i=$((i + 1)); done
	ping -c 2 -W 5 $HOST >/dev/null && echo "ping: answers"
	echo "from host: $(netpeer get $HOST 7000 8000000)"
	echo "to host: $(netpeer put $HOST 7000 8000000)"
	echo "datagrams: $(netpeer udp $HOST 7000 30 1400)"
	echo "mac: $(cat /sys/class/net/eth0/address)"
'

transfers_ok() { # transfers_ok WHAT
	ok "$1: powers off" ended_with 0
	ok "$1: ping" prints '^ping: answers$'
	ok "$1: TCP from the host" prints '^from host: get ok 8000000 '
	ok "$1: TCP to the host" prints '^to host: put ok 8000000 '
	ok "$1: UDP" prints '^datagrams: udp ok 42000 '
}

# macvtap_numbers INTERFACE: its device's. This sysfs is of the test's network, and nobody
# has it mounted when the test's files are removed.
macvtap_numbers() {
	mkdir "$work/sys" && unshare -m sh -c "mount -t sysfs sys '$work/sys' &&
		cat '$work'/sys/class/net/$1/macvtap/tap*/dev" | tr : ' '
}

# A node of the test's own: /dev has those of all networks, by their numbers in each.
make_macvtap() {
	ip link add wire0 type veth peer name wire1 &&
		ip addr add 192.168.36.1/24 dev wire1 && ip link set wire0 up && ip link set wire1 up &&
		ip link add link wire0 name mv0 type macvtap mode bridge && ip link set mv0 up &&
		read -r major minor < <(macvtap_numbers mv0) &&
		mknod "$work/macvtap" c "$major" "$minor" && : <"$work/macvtap"
}
if make_macvtap 2>"$work/why"; then
	mac=$(ip -o link show mv0 | sed 's/.*link\/ether \([^ ]*\).*/\1/')
	guest "HOST=192.168.36.1; $(static 192.168.36.15/24); $transfers" \
		--network "mode=tap,tapif=$work/macvtap"
	transfers_ok "macvtap"
	ok "macvtap: the guest has its address" prints "^mac: $mac\$"
else
	skip 6 "no macvtap: $(tail -n 1 "$work/why")"
fi

helper=/usr/lib/qemu/qemu-bridge-helper
allow_bridge() { # allow_bridge NAME: in an /etc of the test's own
	mkdir "$work/etc" && cp -a /etc/. "$work/etc/" && mkdir -p "$work/etc/qemu" &&
		echo "allow $1" >"$work/etc/qemu/bridge.conf" && mount --bind "$work/etc" /etc
}
bridges() {
	ip link add bridge1 type bridge && ip addr add 192.168.37.1/24 dev bridge1 &&
		ip link set bridge1 up && ip link add bridge2 type bridge
}
if [ -x $helper ] && bridges 2>"$work/why" && allow_bridge bridge1 2>"$work/why"; then
	guest "HOST=192.168.37.1; $(static 192.168.37.15/24); $transfers" \
		--network "mode=tap,bridge=bridge1,helper=$helper"
	transfers_ok "QEMU's bridge helper"
	guest 'echo started' --network "mode=tap,bridge=bridge2,helper=$helper"
	ok "QEMU's bridge helper: a bridge that is not allowed" ended_with 125
	ok "QEMU's bridge helper: kvik says so" reports 'bridge=bridge2: .*gave no tap'
else
	skip 7 "no bridge by $helper"
fi

# passt has the guest take over the address of the interface by which one gets out; what goes
# to the gateway ends at the host's own.
way_out() {
	ip link add out0 type veth peer name out1 && ip link set out0 up && ip link set out1 up &&
		ip addr add 192.168.38.1/24 dev out0 && ip route add default via 192.168.38.2
}
passt_of_guest() {
	pgrep -P "$pid" -f passt
}
through() { # through COMMAND BYTES: by the forwarded port, with patience
	within 20 "$netpeer" "$1" 127.0.0.1 2300 "$2"
}
if type passt &>/dev/null && way_out 2>"$work/why"; then
	start_guest "$dhcp"'
		netpeer serve 0.0.0.0 8000 &
		echo "from host: $(netpeer get 192.168.38.2 7000 8000000)"
		echo "to host: $(netpeer put 192.168.38.2 7000 8000000)"
		echo "guest serves"
		netpeer put 192.168.38.2 7000 4000000000 || echo "flow: ended"
		sleep 1000' \
		--network mode=user,backend=passt,hostfwd=tcp:127.0.0.1:2300-8000
	status='still runs'
	ok "passt: the guest serves" wait_for '^guest serves'
	ok "passt: TCP from the host" prints '^from host: get ok 8000000 '
	ok "passt: TCP to the host" prints '^to host: put ok 8000000 '
	ok "passt: a forwarded port" through get 1000000
	before=$(passt_of_guest)
	kill -KILL "$before"
	ok "passt is killed: kvik says so" within 10 reports 'warning:.*passt.*starting it again'
	ok "passt is killed: what was under way ends" wait_for '^flow: ended'
	ok "passt is killed: the forward is back" through put 1000000
	kill "$pid"
	wait "$pid"
	pid=
else
	skip 7 "no passt"
fi
