#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the control socket says and takes is what docs/control.schema.json says.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

if ! python3 -c 'import jsonschema' 2>/dev/null; then
	skip "the schema" "python3-jsonschema is not installed"
	finish
fi
guest_sleep "$work/sleep"
guest_restart "$work/restart"
mkfifo "$work/keys"
truncate -s 1M "$work/a.img"
sleep 60 >"$work/keys" & # holds it open
holder=$!
"$kvik" run -n none --name one -m 32M -c 2 --balloon -d "$work/a.img" "$work/sleep" </dev/null \
	>"$work/one.out" 2>"$work/one.err" &
"$kvik" run -n none --name two -m 16M -c 1 "$work/restart" <"$work/keys" >"$work/two.out" 2>"$work/two.err" &
wait_for 10 [ -s "$work/one.out" ]
wait_for 10 [ -s "$work/two.out" ]
timeout 60 python3 "$here/control-schema.py" "$top/docs/control.schema.json" "$top/docs/control.md" \
	"$KVIK_RUNTIME_DIR/one.sock" "$KVIK_RUNTIME_DIR/two.sock" "$work/keys" >"$work/tap" 2>"$work/trouble"
status=$?
cat "$work/tap"
tests_run=$(grep -cE '^(not )?ok ' "$work/tap")
tests_failed=$(grep -c '^not ok ' "$work/tap")
is "it has come to its end" "$status:$(tail -n 5 "$work/trouble")" "$((tests_failed > 0)):"
run stop --all --force # where it has not
kill "$holder"
wait
finish
