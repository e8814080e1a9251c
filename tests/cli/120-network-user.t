#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# User-mode networks: what the helper may do, its messages, and what is refused at once.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

slirp=$(dirname "$kvik")/kvik-slirp
if [ ! -x "$slirp" ]; then
	echo "1..0 # SKIP no $slirp"
	exit 0
fi
network=()
guest_sleep "$work/sleep"
guest_poweroff "$work/poweroff"

# A sleeping guest, until it runs.
start() {
	: >"$work/out"
	"$kvik" run --accel soft --network mode=user "$work/sleep" </dev/null \
		>"$work/out" 2>"$work/err" &
	pid=$!
	wait_for 10 grep -q ready "$work/out" || not_ok "the guest starts" "$(cat "$work/err")"
}

stop() {
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

helper() {
	pgrep -P "$pid"
}

is_gone() {
	! kill -0 "$1"
}

says() {
	grep -qF -- "$1" "$work/err"
}

# --- the helper's own command line ---

help=$("$slirp" --help)
is "the helper's --help" "$?" 0
for option in fd area host-ip guest-ip mtu forward; do
	like "--help has --$option" "$help" "  --$option "
	like "the man page has --$option" "$(cat "$top/docs/man/kvik-slirp.8")" "It Fl -$option "
done
message=$("$slirp" 2>&1)
like "without --fd" "$? $message" '^2 kvik-slirp: --fd is missing'
message=$("$slirp" --fd 0 2>&1 </dev/null)
like "--fd that is no socket" "$? $message" '^2 kvik-slirp: --fd 0: '

perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0); open STDIN, "<&", $a; exec @ARGV' \
	"$slirp" --fd 0 --area 1 >/dev/null 2>"$work/err"
like "--area that is no memory" "$? $(cat "$work/err")" '^1 kvik-slirp: --area 1: '

# --- what kvik refuses at once ---

export KVIK_SLIRP=/nowhere
refused "a helper that is not there" 'KVIK_SLIRP=/nowhere: No such file' \
	run -n user "$work/poweroff"
run run --accel soft "$work/poweroff"
is "a helper that is not there, and nobody asked for a network" "$status" 0
like "the message about that" "$err" 'the guest has no network: KVIK_SLIRP=/nowhere'
export KVIK_SLIRP=$slirp
refused "an address that cannot be had" 'hostfwd: tcp port 8 of 192\.0\.2\.1: ' \
	run -n user,hostfwd=tcp:192.0.2.1:8-8 "$work/poweroff"
printf '#!/bin/sh\nPATH=/nowhere exec %s "$@"\n' "$kvik" >"$work/pathless"
chmod 755 "$work/pathless"
kvik=$work/pathless refused "no passt" 'there is no passt in PATH' \
	run -n user,backend=passt "$work/poweroff"

# --- its life ---

start
before=$(helper)
kill -KILL "$before"
wait_for 5 helper
unlike "a killed helper is replaced" "$(helper)" "^$before?\$"
wait_for 5 grep -q 'ended by signal' "$work/err"
like "kvik says so" "$(cat "$work/err")" 'warning: network kvik-slirp: ended by signal 9'
last=$(helper)
stop
if wait_for 2 is_gone "$last"; then pass "it ends with kvik"; else not_ok "it ends with kvik"; fi

# Connections that a guest has left behind: to a port that leads to one that does not answer.
guest_restart "$work/restart"
mkfifo "$work/typed"
port=$((20000 + RANDOM % 10000))
"$kvik" run --name left -m 16M -c 1 -n "user,hostfwd=tcp:127.0.0.1:$port-22" \
	"$work/restart" <"$work/typed" >"$work/out" 2>"$work/err" & pid=$!
exec 8>"$work/typed"
wait_for 10 grep -q ready "$work/out"
files() { find "/proc/$(helper)/fd" -mindepth 1 | wc -l; }
has_files() { [ "$(files)" = "$1" ]; }
reaches() { (exec 7<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
at_first=$(files)
left=()
for _ in {1..100}; do
	exec {fd}<>"/dev/tcp/127.0.0.1/$port"
	left+=("$fd")
	wait_for 5 has_files $((at_first + ${#left[@]})) || break # few wait to be accepted
done
is "100 connections to the guest" "$(files)" $((at_first + 100))
echo -n r >&8
wait_for 10 has_files "$at_first"
is "the next guest has none of them" "$(files):$(grep -c ready "$work/out")" "$at_first:2"
if wait_for 5 reaches; then pass "its port is there"; else not_ok "its port is there" "$(cat "$work/err")"; fi
is "nobody was told" "$(grep -v 'the guest reboots' "$work/err")" ""
echo -n q >&8
exec 8>&-
wait "$pid"
for fd in "${left[@]}"; do exec {fd}>&-; done

# --- what it may do ---

case ${OBJ:-} in
*obj-*)
	skip "confinement" "a sanitizer's build does not take a preloaded library"
	finish
	;;
esac
type "${CC:-cc}" &>/dev/null || { skip "confinement" "no compiler"; finish; }
"${CC:-cc}" -D_GNU_SOURCE -shared -fPIC -o "$work/probe.so" "$here/helper-probe.c" -ldl ||
	not_ok "the probe compiles"
echo secret >"$work/secret"
chmod 666 "$work/secret"
mkfifo "$work/findings"
cat "$work/findings" >"$work/found" &
printf '#!/bin/sh\nexec env LD_PRELOAD=%s PROBE_FILE=%s PROBE_OUT=%s $PROBE %s "$@"\n' \
	"$work/probe.so" "$work/secret" "$work/findings" "$slirp" >"$work/wrapper"
chmod 755 "$work" "$work/wrapper" # the helper, too, is nobody by then
export KVIK_SLIRP=$work/wrapper

may() { # may WHAT RESULT
	is "the helper: $1: $2" "$(sed -n "s|^$1: ||p" "$work/found")" "$2"
}

start
wait_for 5 grep -q ^chroot "$work/found" || not_ok "the probe ran" "$(cat "$work/err")"
sed -n 's/^Seccomp:\s*//p; s/^NoNewPrivs:\s*//p; s/^CapEff:\s*//p; s/^Uid:\s*\([0-9]*\).*/\1/p' \
	"/proc/$(helper)/status" >"$work/status"
like "no root, no capabilities, no new privileges, a filter" "$(tr '\n' ' ' <"$work/status")" \
	'^[1-9][0-9]* 0000000000000000 1 2 $'
may "read /etc/resolv.conf" works
if grep -q '^Landlock: works' "$work/found"; then
	may "read a file" "Permission denied"
	may "write a file" "Permission denied"
	may "make a file" "Permission denied"
	may "list /etc" "Permission denied"
	may "read memory" "Permission denied"
else
	skip "files" "this kernel has no Landlock"
fi
may "read /etc/shadow" "Permission denied"
may "remove a file" "Operation not permitted"
may "socket AF_INET" works
may "socket AF_INET6" works
may "socket AF_UNIX" "Operation not permitted"
may "socket AF_NETLINK" "Operation not permitted"
may "socket AF_PACKET" "Operation not permitted"
may "map data" works
may "map 512 MiB" works
may "map 2 GiB" "Cannot allocate memory"
may "have 2000 files" "Invalid argument"
may "map code" "Operation not permitted"
may "data into code" "Operation not permitted"
may fork "Operation not permitted"
may kill "Operation not permitted"
may "signal a thread" "Operation not permitted"
may "have the kernel signal" "Operation not permitted"
may "become root" "Operation not permitted"
may chroot "Operation not permitted"
stop
wait

export PROBE=PROBE_EXEC=yes
start
if wait_for 5 says "ended by signal 31"; then
	pass "a helper that starts a program is killed"
else
	not_ok "a helper that starts a program is killed" "$(cat "$work/err")"
fi
stop
finish
