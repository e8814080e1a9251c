#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# KVM absent, closed, unable, or for other guests: each has its own message. No KVM is
# needed: --dev names something else.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"
limit_s=10

# A kernel of the host's own architecture that no test here gets to run; it need only
# look like one.
native_kernel() {
	case $(uname -m) in
	x86_64) # ELF: one segment of four bytes at 16 MiB
		printf '\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0\1\0\0\0'
		printf '\0\0\0\1\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
		printf '\0\0\0\0\x40\0\x38\0\1\0\0\0\0\0\0\0'
		printf '\1\0\0\0\5\0\0\0\x78\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0'
		printf '\0\0\0\1\0\0\0\0\4\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
		printf '\xf4\xf4\xf4\xf4'
		;;
	aarch64) # Image: 64 bytes that say they are 4 KiB
		printf '\x10\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0'
		printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ARM\x64\0\0\0\0'
		;;
	*) cat "$work/riscv64" ;;
	esac
}

guest_poweroff "$work/riscv64"
native_kernel >"$work/native"
run version --build-options
if ! [[ $out =~ accelerators:.*kvm ]]; then
	skip "KVM's messages" "this build contains no KVM"
	finish
fi

# message KIND NAME DETAIL REMEDY OPTIONS...
message() {
	refused "KVM $1: $2" "^kvik run: --accel kvm: KVM is $1.*: $3.*; .*$4" \
		run "$work/native" --accel kvm "${@:5}"
}

message absent "no device" "$work/none: No such file" "(modprobe|EL2)" --dev "$work/none"
message unable "not a device" "/dev/null: it is not KVM's device" "give --dev another" --dev /dev/null
message unable "a file" "$work/native: it is not KVM's" "give --dev another" --dev "$work/native"

# As root nothing is closed.
chmod 755 "$work"
: >"$work/closed"
chmod 000 "$work/closed"
as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
cat >"$work/kvik-nobody" <<END
#!/bin/sh
exec ${as_nobody[*]} "$kvik" "\$@"
END
chmod 755 "$work/kvik-nobody"
if "$work/kvik-nobody" version >/dev/null 2>&1; then
	kvik=$work/kvik-nobody message closed "no permission" "$work/closed: Permission denied" \
		"usermod -aG kvm" --dev "$work/closed"
else
	skip "KVM closed: no permission" "nobody cannot run $kvik"
fi

# -- auto --

if [ "$(uname -m)" = riscv64 ]; then
	run run "$work/native" --dev "$work/none"
	is "auto falls back to the software engine" "$status:$out" "0:hello"
	like "auto says why" "$err" 'KVM is absent: .*; so --accel soft runs the guest'
else
	refused "auto says what is missing" \
		"^kvik run: --accel auto: KVM is absent: .*only riscv64 guests run without KVM" \
		run "$work/native" --dev "$work/none"
	refused "kvm does not run another architecture's guests" \
		"--accel kvm: it runs no riscv64 guests on this host.*--accel soft" \
		run "$work/riscv64" --accel kvm
	run run "$work/riscv64"
	is "auto takes the software engine for such" "$status:$out:$err" "0:hello:"
fi

finish
