#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik disk: backing files, checks and repairs, other sizes; and kvik run's options of a disk.
. "$(dirname "$0")/lib.sh"
. "$here/guest.sh"

cd "$work" || exit 1
guest_poweroff guest

be64() { printf '%016x' "$1" | sed 's/../\\x&/g'; }
# poke FILE OFFSET BYTES: bytes in printf's notation.
# shellcheck disable=SC2059
poke() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
peek64() { od -An -tu8 --endian=big -j "$2" -N 8 "$1" | tr -d ' '; }

# works NAME ARGUMENTS...: status 0, nothing on stderr.
works() {
	local name=$1

	shift
	run "$@"
	is "$name" "$status:$err" "0:"
}

# -- backing files --

mkdir dir
head -c 1M /dev/urandom >dir/base
works "a raw base" disk create -b base dir/top.qcow2
run disk info dir/top.qcow2
like "it is named, with its format" "$out" 'backing file: base \(raw\)'
like "the size is the base's" "$out" 'size: 1048576 bytes'
works "one on top" disk create -b top.qcow2 -F qcow2 dir/over.qcow2
works "the chain can be read" disk convert -q --allow-backing -O raw dir/over.qcow2 read
is "with the base's content" "$(cmp dir/base read 2>&1)" ""
refused "not without leave" 'over.qcow2: .*backing file top.qcow2.*backing=allow' \
	disk convert -q -O raw dir/over.qcow2 read2
refused "a base that looks like qcow2" 'looks like qcow2; say that it is' \
	disk create -b top.qcow2 dir/x.qcow2
refused "no base" 'none: No such file|none.*No such file' disk create -b none dir/x.qcow2
works "guest: a chain, if allowed" run guest -d dir/over.qcow2,backing=allow
refused "guest: not without leave" 'backing=allow' run guest -d dir/over.qcow2
is "bases are not written" "$(cmp dir/base read 2>&1)" ""

# A base that became an image itself when nobody said what it is.
works "an image that names no format" disk create -b base -F raw dir/bare.qcow2
poke dir/bare.qcow2 112 '\0\0\0\0' # the extension with the format
works "its base is raw" disk convert -q --allow-backing -O raw dir/bare.qcow2 read --force
cp dir/base saved
cp dir/top.qcow2 dir/base
refused "unless it looks like qcow2" 'looks like qcow2, but the image on it does not say so' \
	disk convert -q --allow-backing -O raw dir/bare.qcow2 x
cp saved dir/base

# Of length 4: base, loop, self.
works "for a loop" disk create -b base dir/loop.qcow2
at=$(peek64 dir/loop.qcow2 8)
poke dir/loop.qcow2 120 'qcow2\0\0\0' && poke dir/loop.qcow2 116 '\0\0\0\5'
poke dir/loop.qcow2 16 '\0\0\0\12' && poke dir/loop.qcow2 "$at" 'loop.qcow2'
refused "a loop" 'is in its own chain' disk convert --allow-backing -O raw dir/loop.qcow2 x
poke dir/loop.qcow2 "$at" 'json:{}...'
refused "a protocol" 'json:.* is not a file' disk convert --allow-backing -O raw dir/loop.qcow2 x
poke dir/loop.qcow2 "$at" 'a\033[2J.....'
refused "an escape sequence" "name is no name" disk info dir/loop.qcow2
[[ $err != *$'\033'* ]] || not_ok "the message has an escape sequence"
poke dir/loop.qcow2 120 'vmdk\0\0\0\0' && poke dir/loop.qcow2 116 '\0\0\0\4'
poke dir/loop.qcow2 "$at" 'base.vmdk.'
refused "another format" 'has the format vmdk; raw and qcow2' \
	disk convert --allow-backing -O raw dir/loop.qcow2 x
below=base
for i in {1..16}; do
	"$kvik" disk create -F "$([ "$below" = base ] && echo raw || echo qcow2)" -b "$below" \
		"dir/c$i.qcow2" 2>"$work/err" || break
	below=c$i.qcow2
done
is "a chain of 16" "$i:$(cat "$work/err")" "16:"
refused "a longer one" 'chain of backing files; at most 16' \
	disk create -F qcow2 -b c16.qcow2 dir/c17.qcow2

# -- check and repair --

head -c 1M /dev/urandom >data
works "an image" disk convert -q data a.qcow2
works "it is clean" disk check -q a.qcow2
block=$(peek64 a.qcow2 "$(peek64 a.qcow2 48)")
l2=$(($(peek64 a.qcow2 "$(peek64 a.qcow2 40)") & 0xfffffffffffe00))

cp a.qcow2 leak.qcow2
poke leak.qcow2 $((block + 2 * 100)) '\0\1' # cluster 100
run disk check leak.qcow2
like "a leak" "$status:$out" ^'3:.*leaks: 1'
run disk check -r leaks leak.qcow2
like "is repaired" "$status:$out" ^'0:.*leaks: 1 \(1 repaired\)'
works "for good" disk check -q leak.qcow2

cp a.qcow2 low.qcow2
poke low.qcow2 $((block + 2 * 8)) '\0\0' # a cluster with data
run disk check low.qcow2
like "a refcount that is too low" "$status:$err" ^'2:.*cluster 8: has refcount 0 and 1 users'
run disk check -q -r leaks low.qcow2
is "is not a leak" "$status" 2
run disk check -q -r all low.qcow2
is "is repaired" "$status" 0
works "for good, too" disk check -q low.qcow2

cp a.qcow2 table.qcow2
poke table.qcow2 "$(peek64 a.qcow2 48)" '\0\0\0\0\0\0\0\0'
run disk check -q table.qcow2
is "no refcounts at all" "$status" 2
run disk check -q -r all table.qcow2
is "are counted anew" "$status" 0
works "and are right" disk check -q table.qcow2
works "with the data" disk convert -q -O raw --force table.qcow2 read
is "as they were" "$(cmp data read 2>&1)" ""

cp a.qcow2 twice.qcow2
poke twice.qcow2 $((l2 + 8)) "$(be64 $((1 << 63 | $(peek64 a.qcow2 "$l2") & ~(1 << 63))))"
run disk check -q -r all twice.qcow2
is "one cluster in two places" "$status" 0
works "belongs to both" disk check -q twice.qcow2

cp a.qcow2 far.qcow2
poke far.qcow2 "$l2" '\200\0\1\0\0\0\0\0'
run disk check far.qcow2
like "an entry beyond the end" "$status:$err" ^'2:.*guest cluster 0: entry 0x8000010000000000'
run disk check -q -r all far.qcow2
is "is cleared" "$status" 0

cp a.qcow2 dirty.qcow2
poke dirty.qcow2 72 '\0\0\0\0\0\0\0\1'
poke dirty.qcow2 $((block + 2 * 8)) '\0\0'
run run guest -d dirty.qcow2
like "guest: an image that was not closed is repaired" "$status:$err" \
	^'0:.*was not closed; counted its clusters anew'
works "and clean then" disk check -q dirty.qcow2
cp a.qcow2 corrupt.qcow2
poke corrupt.qcow2 72 '\0\0\0\0\0\0\0\2'
refused "guest: one that is marked as corrupt" 'check -r all corrupt.qcow2 repairs' \
	run guest -d corrupt.qcow2
works "guest: read-only" run guest -d corrupt.qcow2,ro
works "it is repaired" disk check -r all corrupt.qcow2
works "guest: and works" run guest -d corrupt.qcow2
refused "a raw image has nothing to check" 'raw image' disk check data

# -- resize --

works "grow" disk resize a.qcow2 10G
like "it has grown" "$("$kvik" disk info a.qcow2)" 'size: 10737418240 bytes'
works "still clean" disk check -q a.qcow2
works "more" disk resize a.qcow2 +10G
like "it has grown more" "$("$kvik" disk info a.qcow2)" 'size: 21474836480 bytes'
refused "less" 'would cut off.*--shrink' disk resize a.qcow2 5G
works "less, if that is meant" disk resize --shrink -- a.qcow2 -20971008K
like "it has shrunk" "$("$kvik" disk info a.qcow2)" 'size: 524288 bytes'
works "clean after that" disk check -q a.qcow2
works "what was cut off is gone" disk resize a.qcow2 1M
works "so" disk convert -q -O raw --force a.qcow2 read
is "the first half is as it was" "$(cmp -n 524288 data read 2>&1)" ""
is "the second one is zeroes" "$(tail -c 524288 read | tr -d '\0' | wc -c)" 0
works "an overlay" disk create --force -b base dir/top.qcow2 256K
works "grows" disk resize --allow-backing dir/top.qcow2 2M
run disk convert -q --allow-backing -O raw --force dir/top.qcow2 read
is "the base does not show behind its old end" \
	"$(cmp -n 262144 dir/base read 2>&1)$(tail -c +262145 read | tr -d '\0' | wc -c)" 0
cp data raw
works "grow a raw image" disk resize raw 2M
refused "shrink a raw image" 'would cut off' disk resize raw 1M
works "shrink it" disk resize --shrink raw 1M
is "it is as before" "$(cmp data raw 2>&1)" ""
refused "a bad size" "size 'x'" disk resize raw x

# -- a guest's disk --

printf 'QFI\373\0\0\0\11' >odd
truncate -s 1M odd
refused "guest: a bad qcow2 image is never raw" 'qcow2: version 9 is unknown' run guest -d odd
works "guest: unless it is said to be" run guest -d odd,format=raw
refused "guest: a raw image as qcow2" 'this is not a qcow2 image' run guest -d data,format=qcow2
before=$(cksum <dir/over.qcow2)
works "guest: snapshot" run guest -d dir/over.qcow2,snapshot,backing=allow -d data,snapshot
is "guest: the image is as before" "$(cksum <dir/over.qcow2)" "$before"
TMPDIR=$work/none refused "guest: no place for a snapshot" 'none.*TMPDIR' run guest -d data,snapshot
finish
