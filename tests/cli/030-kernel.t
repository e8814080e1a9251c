#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Kernels that are none, lie about themselves, or are for another machine: status
# 125 for less than a second of CPU time, with one line, and no part of the guest runs.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"
limit_s=5

guest_poweroff "$work/good"

# patch FILE OFFSET BYTES: as printf's escapes.
patch() {
	# shellcheck disable=SC2059 # the format is the point
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# bad NAME REGEX: $work/bad is refused, in time.
bad() {
	local seconds
	local TIMEFORMAT='%U %S'

	{ time refused "$1" "^kvik run: .*$2" run "$work/bad" 2>&3; } 3>&2 2>"$work/time"
	seconds=$(awk '{ print $1 + $2 }' "$work/time")
	awk -v s="$seconds" 'BEGIN { exit !(s < 1) }' ||
		not_ok "$1: in less than a second" "took $seconds s of CPU time"
	slowest=$(printf '%s\n%s' "${slowest:-0}" "$seconds" | sort -n | tail -n 1)
}

run run "$work/good"
is "the good one runs" "$status:$out" "0:hello"
gzip -c "$work/good" >"$work/good.gz"
run run "$work/good.gz"
is "packed by gzip, too" "$status:$out" "0:hello"

# -- no kernel at all --

refused "no such file" "kernel $work/none: .*No such file" run "$work/none"
refused "no such initrd" "initrd $work/none: .*No such file" run "$work/good" -i "$work/none"
refused "a directory" "$work.*(directory|regular)" run "$work"
mkfifo "$work/fifo"
refused "a FIFO is not waited for" "$work/fifo" run "$work/fifo"
refused "/dev/zero" '/dev/zero' run /dev/zero
refused "/dev/null" '/dev/null' run /dev/null
: >"$work/bad"
bad "an empty file" "$work/bad"
echo '#!/bin/sh' >"$work/bad"
bad "a script" "$work/bad"
head -c 1000000 /dev/zero >"$work/bad"
bad "zeroes" "$work/bad"
if [ "$(id -u)" != 0 ]; then
	cp "$work/good" "$work/bad"
	chmod 000 "$work/bad"
	bad "no permission" 'Permission denied'
	rm -f "$work/bad"
else
	skip "no permission" "root reads everything"
fi

# -- riscv64 Image --

for length in 1 8 47 56 60 63; do
	head -c $length "$work/good" >"$work/bad"
	bad "an Image cut at $length bytes" "$work/bad"
done
image() { # NAME OFFSET BYTES REGEX
	cp "$work/good" "$work/bad"
	patch "$work/bad" "$2" "$3"
	bad "$1" "$4"
}
image "image_size 2^63" 16 '\0\0\0\0\0\0\0\200' "$work/bad"
image "image_size 4 GiB" 16 '\0\0\0\0\1\0\0\0' "(memory|RAM|large|fit)"
image "text_offset 2^63" 8 '\0\0\0\0\0\0\0\200' "$work/bad"
image "text_offset and image_size wrap" 8 '\0\0\0\377\377\377\377\377' "$work/bad"
image "a big-endian kernel" 24 '\1' "endian"

# -- gzip --

head -c 100 "$work/good.gz" >"$work/bad"
bad "a cut gzip" "$work/bad"
cp "$work/good.gz" "$work/bad"
patch "$work/bad" 40 '\377\377\377\377'
bad "a damaged gzip" "$work/bad"
head -c 1000 /dev/zero | gzip >"$work/bad"
bad "a gzip of zeroes" "$work/bad"
# 2 GiB of zeroes in about 2 MB: gzip members may follow each other.
head -c 64M /dev/zero | gzip -1 >"$work/member"
for _ in {1..32}; do cat "$work/member"; done >"$work/bad"
bad "a gzip bomb" "$work/bad"

# -- ELF --

# elf FILE ENTRY PADDR FILESZ MEMSZ OFFSET: a riscv64 ELF with one segment.
elf() {
	local image=''

	image='\177ELF\2\1\1\0\0\0\0\0\0\0\0\0'
	le 2 2    # e_type: executable
	le 243 2  # e_machine: riscv
	le 1 4
	le "$2" 8 # e_entry
	le 64 8   # e_phoff
	le 0 8
	le 0 4
	le 64 2
	le "${phentsize:-56}" 2
	le "${phnum:-1}" 2
	le 0 6
	le 1 4    # p_type: load
	le 7 4
	le "$6" 8 # p_offset
	le "$3" 8 # p_vaddr
	le "$3" 8 # p_paddr
	le "$4" 8 # p_filesz
	le "$5" 8 # p_memsz
	le 4096 8
	printf '%b' "$image" >"$1"
	cat "$work/good" >>"$1"
}
size=$(stat -c %s "$work/good")

elf "$work/elf" 0x80200000 0x80200000 "$size" 0x10000 120
run run "$work/elf"
is "a good ELF runs" "$status:$out" "0:hello"
elf "$work/bad" 0x80200000 0x80200000 0x7fffffff 0x7fffffff 120
bad "p_filesz beyond the file" "$work/bad"
elf "$work/bad" 0x80200000 0x80200000 "$size" 1 120
bad "p_filesz beyond p_memsz" "$work/bad"
elf "$work/bad" 0x80200000 0x80200000 "$size" 0x10000 0x7fffffffffffffff
bad "p_offset beyond the file" "$work/bad"
elf "$work/bad" 0x80200000 0x80200000 "$size" 0x7fffffffffff 120
bad "p_memsz beyond memory" "$work/bad"
phnum=65535 elf "$work/bad" 0x80200000 0x80200000 "$size" 0x10000 120
bad "more program headers than the file holds" "$work/bad"
phnum=0 elf "$work/bad" 0x80200000 0x80200000 "$size" 0x10000 120
bad "no program header" "$work/bad"
phentsize=1 elf "$work/bad" 0x80200000 0x80200000 "$size" 0x10000 120
bad "program headers of a wrong size" "$work/bad"
head -c 63 "$work/elf" >"$work/bad"
bad "a cut ELF header" "$work/bad"
head -c 100 "$work/elf" >"$work/bad"
bad "a cut program header" "$work/bad"
cp "$work/elf" "$work/bad"
patch "$work/bad" 4 '\1'
bad "a 32-bit ELF" "$work/bad"
cp "$work/elf" "$work/bad"
patch "$work/bad" 5 '\2'
bad "a big-endian ELF" "$work/bad"
bad_machine() { # NAME E_MACHINE REGEX
	cp "$work/elf" "$work/bad"
	patch "$work/bad" 18 "$2"
	bad "$1" "$3"
}
bad_machine "an ELF for s390" '\026\0' "$work/bad"

# -- kernels of other machines: what they are and what would run them --

run version --build-options
here_runs=$(sed -n 's/^architectures: //p' <<<"$out")
foreign() { # ARCH NAME REGEX: bad(), where this kvik has no machine for it
	case ", $here_runs," in
	*", $1,"*) skip "$2" "this kvik runs $1 kernels" ;;
	*) bad "$2" "$3" ;;
	esac
}
cp "$work/elf" "$work/bad"
patch "$work/bad" 18 '\076\0'
foreign x86-64 "an x86-64 ELF" 'is for x86-64 \(ELF\).*qemu-system-x86_64'
patch "$work/bad" 18 '\267\0'
foreign arm64 "an arm64 ELF" 'is for arm64 \(ELF\).*qemu-system-aarch64'

# An arm64 Image (booting.rst): magic at 56, little-endian image_size at 16.
head -c 4096 /dev/zero >"$work/arm64"
patch "$work/arm64" 0 '\0\0\0\024'
patch "$work/arm64" 16 '\0\020\0\0'
patch "$work/arm64" 56 'ARM\x64'
cp "$work/arm64" "$work/bad"
foreign arm64 "an arm64 Image" 'is for arm64 \(Image\), .*riscv64.*arm64 host with KVM'
gzip -c "$work/arm64" >"$work/bad"
foreign arm64 "an arm64 Image.gz" 'is for arm64 \(Image, packed by gzip\)'
cp "$work/arm64" "$work/bad"
patch "$work/bad" 16 '\0\0\0\0\0\0\0\200'
bad "an arm64 Image with image_size 2^63" "$work/bad"

# A bzImage (boot.rst): setup_sects at 0x1f1, 0xaa55, "HdrS", version 2.15.
head -c 65536 /dev/zero >"$work/x86"
patch "$work/x86" $((0x1f1)) '\4'
patch "$work/x86" $((0x1f4)) '\0\2\0\0' # syssize
patch "$work/x86" $((0x1fe)) '\125\252\353\152HdrS\017\002'
patch "$work/x86" $((0x211)) '\1'       # loadflags: LOADED_HIGH
patch "$work/x86" $((0x236)) '\1\0'     # xloadflags: XLF_KERNEL_64
patch "$work/x86" $((0x238)) '\377\7\0\0'
patch "$work/x86" $((0x260)) '\0\0\20\0'
cp "$work/x86" "$work/bad"
foreign x86-64 "a bzImage" 'is for x86-64 \(bzImage\), .*riscv64.*qemu-system-x86_64'
for sects in '\0' '\377'; do
	cp "$work/x86" "$work/bad"
	patch "$work/bad" $((0x1f1)) "$sects"
	bad "a bzImage with setup_sects $sects" "$work/bad"
done
head -c $((0x230)) "$work/x86" >"$work/bad"
bad "a bzImage cut at 0x230" "$work/bad"

# -- initrd --

run run "$work/good" -i /dev/zero
like "an endless initrd is refused" "$status:$err" '^125:.*initrd|^125:.*/dev/zero'
truncate -s 1G "$work/big"
run run "$work/good" -m 64 -i "$work/big"
like "an initrd larger than memory is refused" "$status:$err" '^125:kvik run: .*(big|initrd).*'

echo "# the slowest took $slowest s of CPU time"
finish
