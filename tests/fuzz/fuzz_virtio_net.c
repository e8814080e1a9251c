// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the network device, of two pairs of queues, on a wire that the script holds.

#include "../../virtio/net-priv.h"
#include "../unit/support-net.h"
#include "fuzz-virtio.h"
#include "virtio-devices.h"
#include "vm-config.h"

#define PAIRS 2
// All of the low half but MTU: CSUM to GUEST_OFFLOADS, TSO, merging, the control queue, MQ.
#define NET_FEATURES 0x00ffbba7

static struct fuzz_guest guest;
static struct script_net wire;
static uint8_t frame[80 * 1024];

// What reaches a backend: a whole header that a host's kernel can believe, and a frame.
static void check_sent(const uint8_t *data, size_t bytes)
{
	struct net_header header;

	if (bytes < sizeof(header) + ETHERNET_HEADER_BYTES || bytes > sizeof(header) + FRAME_MAX)
		abort();
	memcpy(&header, data, sizeof(header));
	bytes -= sizeof(header);
	if (header.flags & ~1 || header.num_buffers)
		abort();
	if (header.flags && (size_t)header.csum_start + header.csum_offset + 2 > bytes)
		abort();
	if (header.gso_type && (!header.flags || !header.gso_size || header.hdr_len > bytes))
		abort();
}

static void empty_wire(void)
{
	for (unsigned i = 0; i < PAIRS; i++) {
		ssize_t bytes;

		while ((bytes = script_net_take(&wire, i, frame, sizeof(frame))) >= 0)
			check_sent(frame, (size_t)bytes);
	}
}

// STEP_DEVICE: a frame with any header, an empty wire, or the link.
static void step(struct fuzz_guest *g, struct script *script)
{
	uint8_t what = take(script, 1);
	unsigned pair = what >> 7;
	size_t bytes;

	switch (what & 3) {
	case 0:
	case 1:
		for (unsigned i = 0; i < sizeof(struct net_header) + MAC_BYTES; i++)
			frame[i] = (uint8_t)take(script, 1);
		bytes = take(script, 2) + (what & 4 ? FRAME_MAX - 65000 : 0);
		(void)script_net_put(&wire, pair, frame, bytes ? bytes : 1);
		break;
	case 2:
		empty_wire();
		break;
	default:
		script_net_set_link(&wire, what & 4);
	}
	fuzz_sync(g);
}

static void set_up(void)
{
	static const struct net_config config = {
		.queue_pairs = PAIRS,
		.mac = { 0x02, 0x15, 0x15, 0x15, 0x15, 0x15 },
	};
	struct virtio_device *vdev;

	fuzz_guest_init(&guest);
	script_net_init(&wire, PAIRS, true);
	if (virtio_net_create(&vdev, "net0", &guest.memory, &wire.net, &config))
		abort();
	fuzz_guest_attach(&guest, vdev);
	guest.features = NET_FEATURES;
	guest.step = step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!guest.vdev)
		set_up();
	fuzz_run(&guest, data, size);
	empty_wire();
	return 0;
}
