#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kvik disk: what each action does and refuses, with kvik alone.
. "$(dirname "$0")/lib.sh"

cd "$work" || exit 1

# done_silently NAME ARGUMENTS...: status 0, nothing said.
done_silently() {
	local name=$1

	shift
	run disk "$@"
	is "$name" "$status:$out:$err" "0::"
}

info() { # info PATH FIELD
	"$kvik" disk info --json "$1" | sed -E "s/.*\"$2\": \"?([^,\"}]*).*/\\1/"
}

# -- create --

done_silently "create" create a.qcow2 10G
is "it is qcow2" "$(info a.qcow2 format)" qcow2
is "of that size" "$(info a.qcow2 size_bytes)" 10737418240
is "takes little" "$(($(info a.qcow2 allocated_bytes) < 1048576))" 1
done_silently "create a raw one" create -f raw a.raw 10M
is "it has no data" "$(stat -c '%s %b' a.raw)" "10485760 0"
for size in 512 4K 2M; do
	done_silently "clusters of $size" create --cluster-size $size --force a.qcow2 1G
	run disk check a.qcow2
	is "clusters of $size: clean" "$status" 0
done
for bits in 1 2 4 8 16 32 64; do
	done_silently "refcounts of $bits bits" create --refcount-bits $bits --cluster-size 512 \
		--force a.qcow2 1G
	run disk check --quiet a.qcow2
	is "refcounts of $bits bits: clean" "$status:$out" "0:"
done
done_silently "version 2" create --qcow2-version 2 --force a.qcow2 1G
is "it is version 2" "$(info a.qcow2 version)" 2

refused "a file that is there" 'a\.qcow2: is there already; --force' disk create a.qcow2 1G
refused "no size" 'how large\? kvik disk create' disk create b.qcow2
refused "a bad size" "size '10X'.*give a number" disk create b.qcow2 10X
refused "a size between sectors" 'multiple of 512' disk create b.qcow2 1000
refused "a bad format" "format 'vmdk'.*use raw or qcow2" disk create -f vmdk b.vmdk 1G
refused "a bad cluster size" '--cluster-size|cluster size of 1000 bytes.*power of 2' \
	disk create --cluster-size 1000 b.qcow2 1G
refused "bad refcounts" 'refcounts of 3 bits.*16' disk create --refcount-bits 3 b.qcow2 1G
refused "a bad version" '--qcow2-version 4.*2 or 3' disk create --qcow2-version 4 b.qcow2 1G
refused "clusters of a raw image" 'raw image has no clusters' \
	disk create -f raw --cluster-size 4K b.raw 1G
refused "a place that is not there" 'none/b.qcow2: .*No such file' disk create none/b.qcow2 1G
refused "too many clusters" 'larger clusters' disk create --cluster-size 512 b.qcow2 1T
is "none of that left anything" "$(ls)" "$(printf '%s\n' a.qcow2 a.raw err out)"

# -- convert --

head -c 3M /dev/urandom >random
{ cat random; head -c 20M /dev/zero; cat random; head -c 1024 /dev/urandom; } >source
done_silently "raw to qcow2" convert -q source b.qcow2
is "zeroes take no space" "$(($(info b.qcow2 allocated_bytes) < 7 * 1048576))" 1
done_silently "and back" convert -q -O raw b.qcow2 back
is "the same content" "$(cmp source back 2>&1)" ""
is "still sparse" "$(($(stat -c %b back) < 14336))" 1
for kind in zlib zstd; do
	head -c 5M /dev/zero | tr '\0' k >text
	done_silently "compressed by $kind" convert -q -c --compression $kind --force text c.qcow2
	is "$kind is named" "$(info c.qcow2 compression)" $kind
	is "$kind: small" "$(($(info c.qcow2 allocated_bytes) < 1048576))" 1
	run disk check --json c.qcow2
	like "$kind: clean, compressed" "$status:$out" '^0:.*"compressed_clusters": 80,'
	done_silently "$kind: unpacked" convert -q -O raw --force c.qcow2 back
	is "$kind: the same content" "$(cmp text back 2>&1)" ""
	done_silently "$kind: what does not pack" convert -q -c --compression $kind --force \
		random c.qcow2
	done_silently "$kind: that unpacked" convert -q -O raw --force c.qcow2 back
	is "$kind: the same content again" "$(cmp random back 2>&1)" ""
done
run disk convert --force source b.qcow2
is "progress, without a terminal" "$status:$out:$(tail -n 1 "$work/err")" "0::b.qcow2: 100 %"
is "a line for each tenth at most" "$(($(wc -l <"$work/err") <= 10))" 1
if command -v script >/dev/null; then
	script -qec "'$kvik' disk convert --force source b.qcow2" /dev/null >typed 2>&1
	like "a bar on a terminal" "$(tr '\r' '\n' <typed)" 'b.qcow2 \[#{40}\] 100 %'
else
	skip "a bar on a terminal" "script is not installed"
fi
refused "an existing target" 'back: is there already' disk convert source back
refused "one operand" 'usage: kvik disk convert FROM TO' disk convert source
refused "compression of a raw image" 'raw image has no' disk convert -c -O raw source x
. "$here/guest.sh"
guest_sleep guest
"$kvik" run -n none --name writer -m 16M -c 1 -d b.qcow2 guest </dev/null >guest.out 2>&1 &
writer=$!
wait_for 10 [ -s guest.out ]
refused "a target that a VM writes" 'b.qcow2: is in use by a VM, which --force does not' \
	disk convert --force source b.qcow2
refused "create: neither" 'b.qcow2: is in use by a VM' disk create --force b.qcow2 1G
kill "$writer"
wait "$writer"
before=$(cksum <b.qcow2)
ulimit -S -f 4096
trap '' XFSZ
refused "no space" 'File too large' disk convert -q -O raw --force source b.qcow2
ulimit -S -f unlimited
is "no space: the old file is whole" "$(cksum <b.qcow2)" "$before"
finish
