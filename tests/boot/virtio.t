#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a stock driver makes of the virtio framework: the features that it takes, and that
# a device comes back to life when the driver lets go of it and takes it again.
. "$(dirname "$0")/lib.sh"

plan 9
use_modules virtio_mmio virtio_blk virtio_rng

# feature BIT DEVICE: as negotiated.
# shellcheck disable=SC2016 # the guest expands it
shell='
feature() { cut -c $(($1 + 1)) /sys/bus/virtio/devices/$2/features; }
driver=/sys/bus/virtio/drivers/virtio_blk
'
head -c 8M /dev/urandom >"$work/disk"
sum=$(md5sum <"$work/disk")

# shellcheck disable=SC2016
guest "$shell"'
for path in /sys/bus/virtio/devices/*; do
	device=${path##*/}
	echo "type $(cat $path/device): indirect $(feature 28 $device)" \
		"event index $(feature 29 $device) packed $(feature 34 $device)"
done
dd if=/dev/hwrng bs=512 count=8 2>/dev/null | wc -c
' --console virtio --rng --disk "$work/disk"
ok "features: powers off" ended_with 0
for type in 2 3 4; do
	ok "features: device type $type has all" \
		prints "^type 0x000$type: indirect 1 event index 1 packed 1\$"
done
ok "features: the entropy source gives what is asked for" prints '^4096$'

# shellcheck disable=SC2016
guest "$shell"'
device=$(ls /sys/bus/virtio/drivers/virtio_blk | grep virtio)
for round in 1 2 3 4 5; do
	dd if=/dev/vda of=/dev/null bs=4k 2>/dev/null &
	sleep 0.05
	echo $device >$driver/unbind
	wait
	[ -e /dev/vda ] && echo "it is still there"
	echo $device >$driver/bind
	echo "round $round: $(md5sum </dev/vda)"
done
' --disk "$work/disk"
ok "unbind and bind: powers off" ended_with 0
ok "unbind and bind: the disk goes" prints_times 0 'still there'
ok "unbind and bind: and comes back" prints_times 5 "^round .: $sum\$"
ok "unbind and bind: no complaint" [ ! -s "$work/err" ]
