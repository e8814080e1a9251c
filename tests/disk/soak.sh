#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 10,000 random requests on each of several qcow2 images, with kills, compared with the same
# by QEMU's tools after each. ROUNDS and SEED change how many and which.
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-50} seed=${SEED:-1}

head -c $((size / 2)) /dev/urandom >base.raw
"$kvik" disk create -b base.raw middle.qcow2 $size
requests "$seed" 200 >plain
kvik_applies middle.qcow2,backing plain
for layout in cluster_size=64k cluster_size=512 cluster_size=4k,refcount_bits=1 \
	cluster_size=2M cluster_size=64k,compat=0.10; do
	qemu-img create -q -f qcow2 -o $layout a.qcow2 $size
	qemu-img create -q -f qcow2 -o $layout b.qcow2 $size
	kill_rounds "$layout" a.qcow2 b.qcow2 "$rounds" 200 "$seed"
done
for layout in cluster_size=64k cluster_size=4k; do
	for image in a b; do
		qemu-img create -q -f qcow2 -o $layout -b middle.qcow2 -F qcow2 $image.qcow2 $size
	done
	kill_rounds "$layout on an overlay" a.qcow2 b.qcow2 "$rounds" 200 "$seed"
done
qemu-img convert -c -O qcow2 middle.qcow2 a.qcow2
cp a.qcow2 b.qcow2
kill_rounds "compressed" a.qcow2 b.qcow2 "$rounds" 200 "$seed"
for image in a b; do
	qemu-img snapshot -c s $image.qcow2
done
kill_rounds "with a snapshot" a.qcow2 b.qcow2 "$rounds" 200 "$seed"
finish
