#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Networks on the host's interfaces: TCP and UDP both ways, offloads, a large MTU, several
# queues, a link that goes down and comes back, bridges, scripts, and what is refused.
. "$(dirname "$0")/net.sh"

type ip &>/dev/null || skip_all "no ip(8)"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"
ip tuntap add probe mode tap 2>/dev/null || skip_all "this host lets nobody make a tap"
ip link del probe
plan 41

background "$netpeer" serve 0.0.0.0 7000

# configure ADDRESS: eth0 has it.
configure() {
	echo "ip link set lo up; ip link set eth0 up; ip addr add $1 dev eth0"
}

transfers='
	ping -c 2 -W 5 $HOST >/dev/null && echo "ping: answers"
	echo "from host: $(netpeer get $HOST 7000 16000000)"
	echo "packets: $(($(cat /sys/class/net/eth0/statistics/rx_packets) < 6000))"
	echo "to host: $(netpeer put $HOST 7000 16000000)"
	echo "small datagrams: $(netpeer udp $HOST 7000 300 100)"
	echo "large datagrams: $(netpeer udp $HOST 7000 30 1400)"
	echo "fragments: $(netpeer udp $HOST 7000 20 20000)"
'

transfers_ok() { # transfers_ok WHAT
	ok "$1: powers off" ended_with 0
	ok "$1: ping" prints '^ping: answers$'
	ok "$1: TCP from the host" prints '^from host: get ok 16000000 '
	ok "$1: TCP to the host" prints '^to host: put ok 16000000 '
	ok "$1: UDP, small datagrams" prints '^small datagrams: udp ok 30000 '
	ok "$1: UDP, large datagrams" prints '^large datagrams: udp ok 42000 '
	ok "$1: UDP, in fragments" prints '^fragments: udp ok 400000 '
	grep -aE 'host: (get|put) ok' "$work/out" | tr -d '\r' | sed "s/^/# $1: /"
}

HOST="HOST=192.168.33.1; $(configure 192.168.33.15/24)"
guest "$HOST; $transfers
	echo \"mtu: \$(cat /sys/class/net/eth0/mtu)\"
	echo \"mac: \$(cat /sys/class/net/eth0/address)\"" \
	--network mode=tap,mac=02:aa:bb:cc:dd:ee
transfers_ok "a new tap"
ok "a new tap: the guest's address is the one given" prints '^mac: 02:aa:bb:cc:dd:ee$'
ok "a new tap: MTU 1500" prints '^mtu: 1500$'
ok "a new tap: segments come in one piece" prints '^packets: 1$'
ok "a new tap: it is gone" [ ! -e /sys/class/net/kvik0 ]

guest "$HOST; $transfers
	ping -c 2 -W 5 -s 8900 \$HOST >/dev/null && echo \"large ping: answers\"
	echo \"mtu: \$(cat /sys/class/net/eth0/mtu)\"
	echo \"queues: \$(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)\"
	grep -c 'input' /proc/interrupts" \
	--cpus 3 --network mode=tap,tapif=many,mq=3,mtu=9000
transfers_ok "several queues, MTU 9000"
ok "several queues, MTU 9000: the guest has that" prints '^mtu: 9000$'
ok "several queues, MTU 9000: a packet of that size" prints '^large ping: answers$'
ok "several queues, MTU 9000: three queues" prints '^queues: 3$'

# The link of an interface that is the user's.
ip tuntap add mine mode tap
ip addr add 192.168.34.1/24 dev mine
ip link set mine up
start_guest "$(configure 192.168.34.15/24)"'
	netpeer serve 0.0.0.0 8000 &
	echo "guest serves"
	while sleep 0.2; do
		now=$(cat /sys/class/net/eth0/carrier)
		[ "$now" = "$seen" ] || echo "carrier: $now"
		seen=$now
		ping -c 1 -W 1 192.168.34.1 >/dev/null
	done' --network mode=tap,tapif=mine,bw=8M
carriers() { # carriers N VALUE: the Nth line about the carrier says so
	tr -d '\r' <"$work/out" | grep -a '^carrier: ' | sed -n "$1p" | grep -q "^carrier: $2\$"
}
status='still runs'
ok "link: the guest serves" wait_for 'guest serves'
ok "link: up at first" within 20 carriers 1 1
ok "link: TCP from the guest" within 20 "$netpeer" get 192.168.34.15 8000 1000000
"$netpeer" get 192.168.34.15 8000 40000000 >"$work/flow" 2>&1 &
flow=$!
sleep 1
ip link set mine down
ok "link: the guest sees it go down" within 20 carriers 2 0
ok "link: TCP was under way" kill -0 "$flow"
ip link set mine up
ok "link: the guest sees it come back" within 20 carriers 3 1
ok "link: TCP goes on" within 60 grep -q '^get ok 40000000 ' "$work/flow"
ok "link: TCP from the guest again" within 20 "$netpeer" get 192.168.34.15 8000 1000000
ip link del mine
ok "link: the guest sees that the interface is gone" within 20 carriers 4 0
sleep 1
ok "link: kvik runs on" kill -0 "$pid"
kill -TERM "$pid"
wait "$pid"
pid=

# Bridges and scripts.
ip link add bridge0 type bridge
ip addr add 192.168.35.1/24 dev bridge0
ip link set bridge0 up
for script in up down; do
	printf '#!/bin/sh\necho "%s $1" >>%s\n' $script "$work/scripts" >"$work/$script"
	chmod +x "$work/$script"
done
guest "$(configure 192.168.35.15/24)"'
	ping -c 2 -W 10 192.168.35.1 >/dev/null && echo "ping: answers"' \
	--network "mode=tap,bridge=bridge0,tapif=leg0,script=$work/up,downscript=$work/down"
ok "a bridge: the guest reaches the host" prints '^ping: answers$'
ok "scripts: both ran" [ "$(tr '\n' , <"$work/scripts")" = "up leg0,down leg0," ]

# What is refused; no guest starts.
refused() { # refused WHAT NETWORK REGEX
	guest 'echo started' --network "$2"
	ok "$1 is refused" ended_with 125
	ok "$1: the message" reports "$3"
}
ip tuntap add taken mode tap
start_guest 'echo "guest has it"; sleep 100' --network mode=tap,tapif=taken
wait_for 'guest has it' || bail "no guest that uses the tap"
refused "a tap in use" mode=tap,tapif=taken 'tapif=taken: is in use'
kill "$pid"
wait "$pid"
pid=
refused "what is no tap" mode=tap,tapif=lo 'tapif=lo: is no tap'
refused "vhost" mode=tap,vhost=1 'vhost=1(: /dev/vhost-net:| is not for the software engine)'
refused "vhost with a rate" mode=tap,vhost=1,bw=1M 'vhost=1: kvik cannot limit'
