// SPDX-License-Identifier: GPL-2.0-or-later
// The network device on a real tap with the host's vhost-net, from ring to interface and
// back; where the host has none, the tests are skipped.

#include <errno.h>
#include <poll.h>

#include "../../virtio/net-priv.h"
#include "support-virtio.h"
#include "tap-fixture.h"
#include "virtio-devices.h"
#include "vm-config.h"

#define QUEUE_SIZE 16
#define HEADER_BYTES NET_VNET_HEADER_BYTES
#define FRAME_BYTES 1000
#define BUFFER_BYTES 2048
#define SEND_GPA GUEST_DATA_GPA
#define RECEIVE_GPA (GUEST_DATA_GPA + 0x10000)
#define PATIENCE_MS 5000
#define QUIET_MS 100

struct fixture {
	struct guest guest;
	struct net_config config;
	struct virtio_device *vdev;
	struct guest_queue q[3];
	int packets; // the host's side of the interface
	uint8_t frame[FRAME_BYTES];
};

static int create(void **state)
{
	static struct fixture f;
	void (*written)(void *opaque, uint64_t gpa, uint64_t len);
	struct net *net;

	memset(&f, 0, sizeof(f));
	guest_init(&f.guest);
	f.config = (struct net_config){ .mode = NET_TAP, .fd = -1, .vhost = true };
	assert_int_equal(net_open(&net, &f.config), 0);
	written = f.guest.memory.written;
	f.guest.memory.written = NULL;
	assert_int_equal(virtio_net_create(&f.vdev, "net0", &f.guest.memory, net, &f.config), 0);
	f.guest.memory.written = written;
	guest_attach(&f.guest, f.vdev);
	f.packets = open_packets("kvik0");
	make_frame(f.frame, FRAME_BYTES);
	*state = &f;
	return 0;
}

static int destroy(void **state)
{
	struct fixture *f = *state;

	close(f->packets);
	guest_exit(&f->guest);
	assert_int_equal(if_nametoindex("kvik0"), 0);
	return 0;
}

static void start(struct fixture *f)
{
	guest_start(&f->guest, NET_F_MRG_RXBUF | NET_F_CTRL_VQ, f->q, 3, QUEUE_SIZE);
}

// Offers the frame, in descriptor @index.
static void send_frame(struct fixture *f, unsigned index)
{
	uint64_t gpa = SEND_GPA + index * BUFFER_BYTES;

	memset(guest_ram(&f->guest, gpa), 0, HEADER_BYTES);
	memcpy(guest_ram(&f->guest, gpa) + HEADER_BYTES, f->frame, FRAME_BYTES);
	guest_desc(&f->q[1], index, gpa, HEADER_BYTES + FRAME_BYTES, 0, 0);
	guest_offer(&f->q[1], index);
	guest_kick(&f->q[1]);
}

static bool frame_arrives(struct fixture *f, int timeout_ms)
{
	struct pollfd poller = { .fd = f->packets, .events = POLLIN };
	uint8_t got[FRAME_BYTES + 1];

	if (poll(&poller, 1, timeout_ms) != 1)
		return false;
	assert_int_equal(recv(f->packets, got, sizeof(got), 0), FRAME_BYTES);
	assert_memory_equal(got, f->frame, FRAME_BYTES);
	return true;
}

static void offer_buffer(struct fixture *f, unsigned index)
{
	guest_desc(&f->q[0], index, RECEIVE_GPA + index * BUFFER_BYTES, BUFFER_BYTES,
		   RING_DESC_WRITE, 0);
	guest_offer(&f->q[0], index);
	guest_kick(&f->q[0]);
}

// The host's kernel filled the buffer with the frame and said so.
static void receive_frame(struct fixture *f, unsigned index)
{
	uint8_t *buffer = guest_ram(&f->guest, RECEIVE_GPA + index * BUFFER_BYTES);
	struct ring_used_elem elem;

	assert_true(guest_wait_irq(&f->guest));
	assert_int_equal(guest_read32(&f->guest, MMIO_INTERRUPT_STATUS), VIRTIO_ISR_QUEUE);
	guest_write32(&f->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
	assert_true(guest_take_used(&f->q[0], &elem));
	assert_int_equal(elem.id, index);
	assert_int_equal(elem.len, HEADER_BYTES + FRAME_BYTES);
	assert_memory_equal(buffer + HEADER_BYTES, f->frame, FRAME_BYTES);
}

static void put_frame(struct fixture *f)
{
	assert_int_equal(send(f->packets, f->frame, FRAME_BYTES, 0), FRAME_BYTES);
}

// -- tests --

// Ends the interrupts about frames that were sent: they say nothing here.
static void mute_sending(struct fixture *f)
{
	f->q[1].avail->flags = RING_AVAIL_NO_INTERRUPT;
}

static void test_frames(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 3; round++) { // the driver comes again
		start(f);
		mute_sending(f);
		for (unsigned i = 0; i < QUEUE_SIZE; i++) {
			send_frame(f, i);
			assert_true(frame_arrives(f, PATIENCE_MS));
			offer_buffer(f, i);
			put_frame(f);
			receive_frame(f, i);
		}
	}
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f);
	mute_sending(f);
	send_frame(f, 0);
	assert_true(frame_arrives(f, PATIENCE_MS));
	offer_buffer(f, 0);
	virtio_hold(f->vdev, true);
	send_frame(f, 1);
	put_frame(f);
	assert_false(frame_arrives(f, QUIET_MS));
	assert_false(guest_take_used(&f->q[0], &elem));
	virtio_hold(f->vdev, false);
	assert_true(frame_arrives(f, PATIENCE_MS));
	receive_frame(f, 0);
}

static void test_reset_takes_the_rings_away(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f);
	offer_buffer(f, 0);
	guest_write32(&f->guest, MMIO_STATUS, 0);
	put_frame(f);
	assert_false(frame_arrives(f, QUIET_MS));
	assert_false(guest_take_used(&f->q[0], &elem));
}

static bool needs_reset(struct fixture *f)
{
	guest_sync(&f->guest);
	return guest_read32(&f->guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

// What no driver does: a buffer that is not RAM, a loop, a head beyond the ring.
static void break_ring(struct fixture *f, unsigned how)
{
	struct guest_queue *q = &f->q[1];

	guest_desc(q, 0, how == 0 ? 0x1000 : SEND_GPA, FRAME_BYTES, how == 1 ? RING_DESC_NEXT : 0,
		   0);
	guest_offer(q, how == 2 ? QUEUE_SIZE : 0);
	guest_kick(q);
}

static void test_broken_rings(void **state)
{
	struct fixture *f = *state;

	for (unsigned how = 0; how < 3; how++) {
		start(f);
		break_ring(f, how);
		assert_true(guest_wait_irq(&f->guest));
		assert_true(needs_reset(f));
		start(f);
		send_frame(f, 0);
		assert_true(frame_arrives(f, PATIENCE_MS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames, create, destroy),
		cmocka_unit_test_setup_teardown(test_pause, create, destroy),
		cmocka_unit_test_setup_teardown(test_reset_takes_the_rings_away, create, destroy),
		cmocka_unit_test_setup_teardown(test_broken_rings, create, destroy),
	};

	enter_network();
	if (!why_not && access("/dev/vhost-net", R_OK | W_OK) < 0)
		why_not = "this host has no vhost-net";
	if (why_not)
		return skip_all();
	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
