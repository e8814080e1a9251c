// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the entropy device.

#include "fuzz-virtio.h"
#include "virtio-devices.h"

static struct fuzz_guest guest;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_device *vdev;

	if (!guest.vdev) {
		fuzz_guest_init(&guest);
		if (virtio_rng_create(&vdev, "rng", &guest.memory, &guest.loop))
			abort();
		fuzz_guest_attach(&guest, vdev);
	}
	fuzz_run(&guest, data, size);
	return 0;
}
