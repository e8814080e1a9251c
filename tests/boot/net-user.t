#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# User-mode networking: DHCP, ping, DNS, TCP and UDP both ways, IPv6, forwarded ports, and
# a helper that dies. The network beyond is the test's own.
. "$(dirname "$0")/net.sh"

slirp=${KVIK_SLIRP:-$(dirname "$KVIK")/kvik-slirp}
[ -x "$slirp" ] || skip_all "no $slirp"
plan 37

echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
mount --bind "$work/resolv.conf" "$(realpath /etc/resolv.conf)" || bail "no resolv.conf of its own"
background "$netpeer" serve 127.0.0.1 7000
background "$netpeer" serve ::1 7000
background "$netpeer" dns 127.0.0.1 53 kvik.example 192.0.2.7

host6=fd6b:7669:6b00::1
probes="$dhcp"'
	echo "address: $(ip -4 -o addr show eth0 | sed "s/.*inet //;s/ .*//")"
	echo "mtu: $(cat /sys/class/net/eth0/mtu)"
	cat /etc/resolv.conf
	ping -c 2 -W 5 $HOST >/dev/null && echo "gateway: answers"
	nslookup -type=a kvik.example && echo "name: known"
	nslookup -type=a no.example || echo "name: unknown"
	echo "from host: $(netpeer get $HOST 7000 8000000)"
	echo "to host: $(netpeer put $HOST 7000 8000000)"
	echo "small datagrams: $(netpeer udp $HOST 7000 300 100)"
	echo "large datagrams: $(netpeer udp $HOST 7000 30 1400)"
	netpeer get $HOST 9 10 && echo "refused port: open"
	for i in 1 2 3 4 5 6 7 8; do netpeer get $HOST 7000 400000 & done | grep -c "get ok" |
		sed "s/^/at a time: /"
'

guest "HOST=192.168.33.1; $probes"'
	i=0
	until ip -6 addr show eth0 | grep -q "fd6b:.*global" || [ $i = 20 ]; do
		sleep 1
		i=$((i + 1))
	done
	until ip -6 route | grep -q ^default || [ $i = 20 ]; do sleep 1; i=$((i + 1)); done
	ip -6 -o addr show eth0
	ping6 -c 2 -W 5 '$host6' >/dev/null && echo "gateway6: answers"
	echo "from host6: $(netpeer get '$host6' 7000 4000000)"
	echo "to host6: $(netpeer put '$host6' 7000 4000000)"
	echo "datagrams6: $(netpeer udp '$host6' 7000 30 1000)"
' --network mode=user
ok "powers off" ended_with 0
ok "DHCP: the guest's address" prints '^address: 192\.168\.33\.15/24$'
ok "DHCP: a name server" prints '^nameserver 192\.168\.33\.3$'
ok "the network's own MTU" prints '^mtu: 65520$'
ok "ping" prints '^gateway: answers$'
ok "DNS: a name that exists" prints '^Address: 192\.0\.2\.7$'
ok "DNS: one that does not" prints '^name: unknown$'
ok "TCP from the host" prints '^from host: get ok 8000000 '
ok "TCP to the host" prints '^to host: put ok 8000000 '
ok "UDP, small datagrams" prints '^small datagrams: udp ok 30000 '
ok "UDP, large datagrams" prints '^large datagrams: udp ok 42000 '
ok "TCP to a port that is closed" prints '^netpeer: connect: Connection refused$'
ok "TCP, eight connections at a time" prints '^at a time: 8$'
ok "IPv6: an address of the announced network" prints 'inet6 fd6b:7669:6b00:'
ok "IPv6: ping" prints '^gateway6: answers$'
ok "IPv6: TCP from the host" prints '^from host6: get ok 4000000 '
ok "IPv6: TCP to the host" prints '^to host6: put ok 4000000 '
ok "IPv6: UDP" prints '^datagrams6: udp ok 30000 '

guest "HOST=10.77.0.1; $probes" --network mode=user,host_ip=10.77.0.1,guest_ip=10.77.3.9,mtu=1500
ok "other addresses: DHCP" prints '^address: 10\.77\.3\.9/22$'
ok "MTU 1500: the guest has it" prints '^mtu: 1500$'
ok "MTU 1500: TCP from the host" prints '^from host: get ok 8000000 '
ok "MTU 1500: TCP to the host" prints '^to host: put ok 8000000 '
ok "MTU 1500: UDP" prints '^large datagrams: udp ok 42000 '

# Forwards, and the helper's death. The guest serves until it is ended.
start_guest "$dhcp"'
	netpeer serve 0.0.0.0 8000 &
	echo "guest serves"
	until ! netpeer put 192.168.33.1 7000 1000000000; do :; done && echo "flow: ended" &
	while sleep 0.2; do
		downs=$(cat /sys/class/net/eth0/carrier_down_count)
		[ "$downs" = "$seen" ] || echo "carrier went down $downs times"
		seen=$downs
	done' \
	--network mode=user,hostfwd=tcp:127.0.0.1:2200-8000,hostfwd=udp:2201-192.168.33.15:8000

helper_of_guest() {
	pgrep -P "$pid" -f kvik-slirp
}

# The guest serves only a while after it says so.
through() { # through COMMAND: by the forwarded port, with patience
	within 20 "$netpeer" "$1" 127.0.0.1 2200 "$2"
}

status='still runs'
ok "forward: the guest serves" wait_for 'guest serves'
ok "forward: TCP from the guest" through get 4000000
ok "forward: TCP to the guest" through put 4000000
ok "forward: UDP" within 20 "$netpeer" udp 127.0.0.1 2201 50 1000

before=$(helper_of_guest) || bail "kvik has no helper"
"$netpeer" get 127.0.0.1 2200 4000000000 >"$work/flow" 2>&1 &
flow=$!
sleep 1
ok "TCP flows" kill -0 "$flow"
kill -KILL "$before"
flow_ended() {
	! kill -0 "$flow" && grep -q '^netpeer: ' "$work/flow"
}
ok "a killed helper: TCP from the guest ends" within 20 flow_ended
ok "a killed helper: the guest sees its link go down" wait_for 'carrier went down [1-9]'
ok "a killed helper: TCP to the host ends" wait_for '^flow: ended'
ok "a killed helper: kvik says so" reports 'warning:.*kvik-slirp.*signal 9.*starting it again'
ok "a killed helper: another one runs" within 10 helper_of_guest
ok "a killed helper: the forward is back" through get 4000000
ok "a killed helper: one message" [ "$(grep -c 'starting it again' "$work/err")" = 1 ]

after=$(helper_of_guest)
ok "the other one is another" [ "$after" != "$before" ]
kill -KILL "$pid"
wait "$pid" 2>/dev/null
pid=
helper_is_gone() {
	! kill -0 "$after"
}
ok "the helper does not outlive kvik" within 5 helper_is_gone
