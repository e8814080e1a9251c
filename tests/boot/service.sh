#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik@.service under systemd: in a Debian guest, kvik itself runs a guest of its own, with
# a disk and a tap, as narrowly as the unit has it.
#
# Needs the image that distro.sh makes, and kvik for riscv64 (make cross-riscv64).
. "$(dirname "$0")/lib.sh"
. "$top/tests/cli/guest.sh"

image=${XDG_CACHE_HOME:-${HOME:?}/.cache}/kvik/$("$files" show suite)-riscv64/distro.img
inner=${CROSS_BUILD:-$top/build}/riscv64/kvik-static
[ -s "$image" ] || skip_all "no $image; make check-distro makes it"
[ -x "$inner" ] || skip_all "no $inner; make cross-riscv64 makes it"

cp --sparse=always "$image" "$work/disk"
guest_sleep "$work/sleep"
sed 's|@bindir@|/usr/bin|' "$top/systemd/kvik@.service.in" >"$work/unit"
cat >"$work/web.json" <<'EOF'
{
  "kernel": "/srv/sleep",
  "cpus": 1,
  "mem": 16,
  "disk": [ "/srv/disk.img" ],
  "network": [ "tap,host_ip=10.1.2.1" ],
  "balloon": true,
  "rng": true
}
EOF
cat >"$work/test" <<'EOF'
truncate -s 1M /srv/disk.img
chown 1000 /srv/disk.img
chmod 600 /srv/disk.img
systemctl start kvik@web; echo "result start $?"
echo "result active $(systemctl is-active kvik@web)"
echo "result text $(systemctl show -P StatusText kvik@web)"
kvik list | sed 's/^/result list /'
echo "result tap $(cat /sys/class/net/kvik0/operstate)"
journalctl -u kvik@web -o cat | grep ready | sed 's/^/result journal /'
pid=$(systemctl show -P MainPID kvik@web)
echo "result capabilities $(sed -n 's/^CapEff:\t//p' /proc/$pid/status)"
echo "result filters $(sed -n 's/^Seccomp:\t//p' /proc/$pid/status)"
systemctl kill -s KILL kvik@web
for _ in 1 2 3 4 5 6 7 8 9 10; do
	sleep 1
	[ "$(systemctl show -P NRestarts kvik@web)$(systemctl is-active kvik@web)" = 1active ] && break
done
echo "result killed $(systemctl is-active kvik@web) $(systemctl show -P NRestarts kvik@web)"
systemctl stop kvik@web; echo "result stop $?"
echo "result ended $(systemctl show -P Result kvik@web) $(systemctl is-active kvik@web)"
echo "result left $(ls /run/kvik | wc -l) $(ls /sys/class/net | grep -c kvik)"
systemctl start kvik@none; echo "result none $?"; sleep 2
echo "result none $(systemctl is-failed kvik@none) $(systemctl show -P NRestarts kvik@none)"
journalctl -u kvik@web -o cat | tail -n 20
journalctl -u kvik@none -o cat | tail -n 5
poweroff
EOF
cat >"$work/commands" <<EOF
mkdir /etc/kvik
cd /usr/bin
write $inner kvik
set_inode_field kvik mode 0100755
cd /etc/systemd/system
write $work/unit kvik@.service
cd /etc/kvik
write $work/web.json web.json
cd /srv
write $work/sleep sleep
cd /root
write $work/test test
EOF
# What its journal holds would undo this.
/sbin/e2fsck -fy "$work/disk" >"$work/fsck" 2>&1
/sbin/debugfs -w -f "$work/commands" "$work/disk" >"$work/debugfs" 2>&1

use_modules virtio_mmio virtio_blk crc32c_generic ext4 tun
plan 14
mkfifo "$work/in"
make_initrd ''
: >"$work/out"
"$KVIK" run --initrd "$work/initrd" "${network[@]}" --mem 1G --cpus "${CPUS:-2}" --disk "$work/disk" \
	--params '-- /sbin/init' "$kernel" >"$work/out" 2>"$work/err" <"$work/in" &
pid=$!
exec 7>"$work/in"
GUEST_TIMEOUT=${GUEST_TIMEOUT_DISTRO:-300}
wait_for 'kvik-distro login:'
echo root >&7
wait_for 'root@kvik-distro:.*#' && echo 'PS1=; TERM=dumb sh /root/test' >&7
timeout "${SERVICE_TIMEOUT:-120}" tail --pid="$pid" -f /dev/null
kill "$pid" 2>/dev/null
status=0
wait "$pid" || status=$?
exec 7>&-

says() { prints "(^|2004l)result $1"; }
ok "the service starts" says 'start 0$'
ok "it is active" says 'active active$'
ok "its state is told" says 'text '
ok "the VM runs" says 'list web +[0-9]+ +running'
ok "it has a tap" says 'tap '
ok "the console goes to the journal" says 'journal ready$'
ok "it has five capabilities" says 'capabilities 00000000000014c2$'
ok "and a filter of system calls" says 'filters 2$'
ok "a VM that is killed starts again" says 'killed active 1$'
ok "the service stops" says 'stop 0$'
ok "which is no failure" says 'ended success inactive$'
ok "nothing is left" says 'left 0 0$'
ok "without a configuration it fails" says 'none 1$'
ok "and is not started again" says 'none failed 0$'
[ -z "${SHOW-}" ] || tr -d '\r' <"$work/out"
