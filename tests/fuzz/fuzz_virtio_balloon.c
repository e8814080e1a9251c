// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the memory balloon, while the VM asks for memory and for statistics.

#include "balloon.h"
#include "fuzz-virtio.h"

static struct fuzz_guest guest;

// Whenever the driver does something, the VM wants something else.
static void changed(void *opaque)
{
	struct balloon_state state = balloon_state(guest.vdev);

	if (balloon_set_target(guest.vdev, (state.size_bytes + 4096) % RAM_BYTES))
		abort();
	balloon_refresh(guest.vdev);
}

static void told(void *opaque)
{
	balloon_refresh(guest.vdev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct balloon_events events = { .changed = changed, .told = told };
	struct virtio_device *vdev;

	if (!guest.vdev) {
		fuzz_guest_init(&guest);
		if (virtio_balloon_create(&vdev, "balloon", &guest.memory, &guest.loop, events))
			abort();
		fuzz_guest_attach(&guest, vdev);
	}
	fuzz_run(&guest, data, size);
	return 0;
}
