// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the power button.

#include <errno.h>

#include "fuzz-virtio.h"
#include "virtio-devices.h"

static struct fuzz_guest guest;

// STEP_DEVICE: a press.
static void step(struct fuzz_guest *g, struct script *script)
{
	int err = virtio_input_press(g->vdev);

	if (err && err != -ENOTCONN)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_device *vdev;

	if (!guest.vdev) {
		fuzz_guest_init(&guest);
		if (virtio_input_create(&vdev, "button", &guest.memory, &guest.loop))
			abort();
		fuzz_guest_attach(&guest, vdev);
		guest.step = step;
	}
	fuzz_run(&guest, data, size);
	return 0;
}
