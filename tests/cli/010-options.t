#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik run: every option's bad values, and the good ones beside them.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

guest_poweroff "$work/guest"
kernel=$work/guest

# bad OPTION VALUE REMEDY: one line names the option, the value and the remedy.
bad() {
	local name=${2:0:40}

	refused "$1 '$name' is refused" "^kvik run: $1 .*$3" run "$kernel" "$1" "$2"
	[[ $err == *"$2"* ]] || not_ok "$1 '$name': the message names the value" "stderr: $err"
}

# good ARGUMENTS...: the guest runs to its end.
good() {
	run run "$kernel" "$@"
	is "${*:0:60} is taken" "$status:$err" "0:"
}

for value in 0 -1 65 1000000000000000000000 two 1.5 '' ' 1' 1x; do
	bad --cpus "$value" 'give 1 to 64'
done
good --cpus 1
good -c 64 -m 256

for value in 0 1 -1 12X M '' 1.5G 4096B 15M; do
	bad --mem "$value" 'give'
done
bad --mem 99999999999P 'give'
bad --mem 16777217B 'multiple of 4K'
refused "more memory than the machine addresses" 'm.*: 1073741824 MiB; .* GiB' \
	run "$kernel" --mem 1P
good --mem 16
good -m 16777216B
good -m 65536K
good -m 1g

for value in KVM Soft none '' tcg; do
	bad --accel "$value" 'use auto, kvm or soft'
done
refused "--accel kvm does not run this guest here" \
	'^kvik run: --accel kvm: .*use --accel soft' run "$kernel" --accel kvm --dev /dev/null
good --accel soft
good --accel auto

for value in sv32 39 '' Sv39 sv64; do
	bad --satp-mode "$value" 'use sv39, sv48 or sv57'
done
for value in sv39 sv48 sv57; do
	good --satp-mode $value
done

for value in '' x -1 1- ',1' '1,' 3-2 1-2-3 0-1024 99999999999999999999 '1 2'; do
	bad --vcpu-affinity "$value" 'is not a list of CPUs; give one such as 0-3,7'
done
good --vcpu-affinity 0
refused "CPUs that there are not" '^kvik run: --vcpu-affinity: none of the CPUs from 1023 on can be had; name others' \
	run "$kernel" --accel soft --vcpu-affinity 1023

for value in x -1 '' 1x 0x 18446744073709551616; do
	bad --kaslr-seed "$value" 'is not a number of 64 bits'
done
good --kaslr-seed 0x123456789abcdef0

for value in 0 2049 -1 x ''; do
	bad --sve-max-vl "$value" 'a multiple of 128 bits, up to 2048'
done

for value in '' . .hidden -x a/b ../x 'a b' $'a\nb' "$(printf 'a%.0s' {1..65})" 'ä'; do
	refused "--name $(printf %q "${value:0:20}") is refused" \
		'is not a name; use 1 to 64 letters' run "$kernel" --name "$value"
done
good --name "$(printf 'a%.0s' {1..64})"
good --name A.b_c-9

for value in tty '' hvc0 Serial; do
	bad --console "$value" 'use serial or virtio'
done
good --console serial
good --console virtio

for value in loud '' 3 ERROR; do
	bad --loglevel "$value" 'use error, warning, info or debug'
done
for value in error warning info; do
	good --loglevel $value
done
run run "$kernel" --loglevel debug
like "--loglevel debug tells of the machine" "$status:$err" ^'0:.*riscv64'

for value in 0 65 -1 131072 x ''; do
	bad --soft-tlb "$value" 'from 1 to 64'
done
good --soft-tlb 1
good --soft-tlb 64
for value in 0 65535 63K x '' -1; do
	bad --soft-code-cache "$value" 'at least 64 KiB'
done
good --soft-code-cache 64K

# -- disks --

truncate -s 1M "$work/disk" "$work/other"
bad --disk ,ro 'has no path'
bad --disk "$work/disk,rw" "'rw' is not an option of a disk; use ro, direct"
bad --disk "$work/disk,ro,x" "'x' is not an option"
bad --disk "$work/disk," "'' is not an option"
bad --disk "" 'has no path'
bad --disk "$work/disk,ro=1" 'ro=1: takes no value'
for value in 0 9 two ''; do bad --disk "$work/disk,queues=$value" 'give 1 to 8'; done
for value in '' 123456789012345678901; do
	bad --disk "$work/disk,serial=$value" 'give 1 to 20 characters'
done
for key in werror rerror; do bad --disk "$work/disk,$key=ignore" 'use report or stop'; done
for key in iops bw; do
	for value in 0 '' fast 1: 1:x; do bad --disk "$work/disk,$key=$value" 'is not a rate'; done
	bad --disk "$work/disk,${key}_burst=5" "${key}_burst= goes with $key="
done
bad --disk "$work/disk,aio=posix" 'use threads, native or io_uring'
for value in threads native io_uring; do good -d "$work/disk,aio=$value"; done
bad --disk "$work/disk,format=vmdk" 'use raw or qcow2'
good -d "$work/disk,queues=2,serial=abc,werror=stop,rerror=report,iops=100:200,bw=1M,bw_burst=8M"
refused "a disk that is not there" "$work/none.*No such file" run "$kernel" -d "$work/none"
refused "a directory as a disk" "$work.*" run "$kernel" -d "$work"
good -d "$work/disk"
good -d "$work/disk,ro" -d "$work/other,ro"
many=()
for _ in {1..40}; do many+=(-d "$work/disk,ro"); done
good "${many[@]}"

# -- kernel, operands --

refused "no kernel" 'no kernel; name one' run
refused "a kernel by option and as operand" "two kernels: 'a' by --kernel and 'b'" run -k a b
refused "two operands" "unexpected argument 'b' after the kernel 'a'" run a b
refused "an operand behind --" "unexpected argument 'b'" run a -- b
run run -k "$kernel"
is "-k names the kernel" "$status" 0
run run --nodefaults -c 1 "$kernel" --rng
is "options stand on both sides of the kernel" "$status" 0
refused "an unknown option" '--frob' run "$kernel" --frob
refused "an unknown letter" 'kvik run: .*Z' run "$kernel" -Z
refused "an option without its value" 'cpus' run "$kernel" --cpus
refused "a flag with a value" 'rng' run "$kernel" --rng=yes
refused "an initrd that is not there" "$work/none.*No such file" run "$kernel" -i "$work/none"
refused "too many kernel parameters" 'param|command line|1024|1023' \
	run "$kernel" -p "$(printf 'x%.0s' {1..5000})"

run run "$kernel" -m $(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 + 1024))
is "more memory than the host has works" "$status" 0
like "but is warned of" "$err" 'is more than the host has'

finish
