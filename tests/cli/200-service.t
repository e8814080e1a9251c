#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The unit for systemd: that it is one, and that what it runs works.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_sleep "$work/sleep"
mkdir "$work/etc"
unit=$work/kvik@.service
# A program of that name, whatever this build's is called.
mkdir "$work/bin"
ln -s "$(realpath "$kvik")" "$work/bin/kvik"
sed "s|@bindir@|$work/bin|" "$top/systemd/kvik@.service.in" >"$unit"

if command -v systemd-analyze >/dev/null; then
	is "systemd takes it" "$(systemd-analyze verify --man=no "$unit" 2>&1)" ""
else
	skip "systemd takes it" "systemd-analyze is not installed"
fi

# command WHAT: the unit's, as systemd would run it for the instance "web"; sets @argv.
command_of() {
	local line

	line=$(sed -n "s/^$1=-\?//p" "$unit")
	read -ra argv <<<"${line//%i/web}"
	argv=("${argv[@]//\/etc\/kvik/$work\/etc}")
}

run run --print-config -n none -m 16M -c 1 "$work/sleep"
cp "$work/out" "$work/etc/web.json"
command_of ExecStart
"${argv[@]}" </dev/null >"$work/console" 2>"$work/messages" &
pid=$!
if wait_for 10 [ -s "$work/console" ]; then pass "ExecStart"; else not_ok "ExecStart" "$(<"$work/messages")"; fi
run list -q
is "the instance is the VM's name" "$out" web
command_of ExecStop
"${argv[@]}" >"$work/out" 2>"$work/err"
is "ExecStop: what asks the guest" "$?:$(<"$work/err")" \
	"1:kvik stop: VM web: the guest has no driver for its power button (virtio_input); --force ends it without asking"
kill "$pid"
wait "$pid"
is "then SIGTERM, which counts as success" "$?:$(grep -c '^SuccessExitStatus=143$' "$unit")" "143:1"
rm "$work/etc/web.json"
command_of ExecStart
"${argv[@]}" </dev/null >/dev/null 2>"$work/messages"
is "without a configuration, not again and again" \
	"$?:$(grep -c '^RestartPreventExitStatus=125$' "$unit")" "125:1"
like "and it says so" "$(<"$work/messages")" "--config: open $work/etc/web.json: No such file"
finish
