#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two VMs wired together by a Unix socket: one listens, the other connects, whichever is
# there first; each sees the other go and come back.
. "$(dirname "$0")/net.sh"

plan 15
socket=$work/wire

# node NAME COMMANDS OPTION...: starts a guest with files of its own, $work/NAME/.
declare -A pids=()
node() {
	local work=$work/$1 name=$1 commands=$2
	shift 2

	mkdir -p "$work"
	ln -sf ../base "$work/base"
	start_guest "$commands" --name "$name" --mem 160M --cpus 1 "$@"
	pids[$name]=$pid
}

of() { # of NAME COMMAND...: lib.sh's questions about that node
	local work=$work/$1 pid=${pids[$1]}
	shift
	"$@"
}

end_nodes() {
	kill "${pids[@]}" 2>/dev/null
	wait
}
trap 'end_nodes; rm -rf "$work"' EXIT

carrier='while sleep 0.2; do
		now="$(cat /sys/class/net/eth0/carrier)"
		[ "$now" = "$before" ] || echo "carrier: $now"
		before=$now
	done'
listener="ip addr add 10.9.9.1/24 dev eth0; ip link set eth0 up
	netpeer serve 10.9.9.1 9000 &
	$carrier"
connector='ip addr add 10.9.9.2/24 dev eth0; ip link set eth0 up
	echo "mtu: $(cat /sys/class/net/eth0/mtu)"
	i=0
	until ping -c 1 -W 1 10.9.9.1 >/dev/null; do i=$((i + 1)); [ $i -lt 30 ] || break; done
	ping -c 3 -s 8000 -W 5 10.9.9.1 | grep received
	echo "there: $(netpeer put 10.9.9.1 9000 20000000)"
	echo "back: $(netpeer get 10.9.9.1 9000 20000000)"
	echo "datagrams: $(netpeer udp 10.9.9.1 9000 50 8900)"'

# The one that connects is there first.
node b "$connector; $carrier" --network "mode=stream,path=$socket,mtu=9000,mac=02:00:00:00:00:02"
ok "the one that connects waits" of b wait_for 'init reached'
node a "$listener" --network "mode=stream,path=$socket,listen,mtu=9000,mac=02:00:00:00:00:01"
ok "the one that listens has a link" of a wait_for '^carrier: 1'
ok "MTU 9000" of b wait_for '^mtu: 9000'
ok "ping with large packets" of b wait_for '^3 packets transmitted, 3 packets received'
ok "TCP there" of b wait_for '^there: put ok 20000000 '
ok "TCP back" of b wait_for '^back: get ok 20000000 '
ok "UDP" of b wait_for '^datagrams: udp ok 445000 '

kill -KILL "${pids[b]}"
ok "the peer is killed: the link goes down" of a wait_for '^carrier: 0'
ok "the peer is killed: kvik says so" of a reports 'warning: .*connection lost.*waiting for another'
node c "$connector" --network "mode=stream,path=$socket,mtu=9000,mac=02:00:00:00:00:03"
ok "the next one: TCP there" of c wait_for '^there: put ok 20000000 '
ok "the next one: TCP back" of c wait_for '^back: get ok 20000000 '

# Of two peers the second is turned away, and the first does not notice.
within 20 test ! -d "/proc/${pids[c]}" # it powers off
node d "$connector; $carrier" --network "mode=stream,path=$socket,mtu=9000,mac=02:00:00:00:00:04"
ok "another one" of d wait_for '^back: get ok 20000000 '

kill -TERM "${pids[a]}"
ok "the listener ends: the link goes down" of d wait_for '^carrier: 0'
gone() {
	[ ! -e "$socket" ]
}
ok "the listener ends: its socket is gone" within 5 gone
node e "$listener" --network "mode=stream,path=$socket,listen,mtu=9000,mac=02:00:00:00:00:01"
back_up() {
	[ "$(tr -d '\r' <"$work/d/out" | grep -a '^carrier:' | tail -n 1)" = "carrier: 1" ]
}
ok "another listener: the link comes back" within "$GUEST_TIMEOUT" back_up
