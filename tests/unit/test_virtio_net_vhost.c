// SPDX-License-Identifier: GPL-2.0-or-later
// The network device where somebody else serves the rings, as the host's kernel does: what
// that one is given, and what becomes of its signals. The test is that one.

#include <sys/eventfd.h>

#include "virtio-net-fixture.h"

#define RING_FEATURES \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | NET_F_MRG_RXBUF)
#define DRIVER_FEATURES (VIRTIO_F_EVENT_IDX | NET_F_MRG_RXBUF | NET_F_MAC | NET_F_CTRL_VQ)

static int bells[2 * PAIRS_MAX + 1];
static unsigned bell_count;

static int note_bell(void *opaque, const struct bus_doorbell *doorbell)
{
	assert_true(bell_count < ARRAY_SIZE(bells));
	bells[bell_count++] = doorbell->fd;
	return 0;
}

// As under KVM, where nobody wants to know what is written; the tests do.
static int create_vhost(struct fixture *f, unsigned pairs, uint64_t ring_features, bool doorbells)
{
	void (*written)(void *opaque, uint64_t gpa, uint64_t len);

	guest_init(&f->guest);
	bell_count = 0;
	f->guest.bus.add_doorbell = doorbells ? note_bell : NULL;
	script_net_init(&f->script, pairs, true);
	f->script.net.info.ring_features = ring_features;
	written = f->guest.memory.written;
	f->guest.memory.written = NULL;
	assert_int_equal(create_device(f, pairs), 0);
	f->guest.memory.written = written;
	return 0;
}

static int setup_vhost(void **state)
{
	*state = new_fixture();
	return create_vhost(*state, 1, RING_FEATURES, false);
}

static int setup_vhost_pairs(void **state)
{
	*state = new_fixture();
	return create_vhost(*state, PAIRS_MAX, RING_FEATURES, false);
}

static int setup_doorbells(void **state)
{
	*state = new_fixture();
	return create_vhost(*state, 1, RING_FEATURES, true);
}

static struct script_ring *ring(struct fixture *f, unsigned queue)
{
	return &f->script.rings[queue];
}

static bool runs(struct fixture *f, unsigned queue)
{
	guest_sync(&f->guest);
	return ring(f, queue)->starts == ring(f, queue)->stops + 1;
}

// How often the eventfd was signalled since it was last asked.
static uint64_t signals(struct fixture *f, int fd)
{
	eventfd_t count = 0;

	settle(f);
	return eventfd_read(fd, &count) ? 0 : count;
}

// Signals, and waits until the device has heard it.
static void signal_device(struct fixture *f, int fd)
{
	settle(f); // ThreadSanitizer does not see the eventfd order anything
	assert_int_equal(eventfd_write(fd, 1), 0);
	settle(f);
}

static uint32_t isr(struct fixture *f)
{
	return guest_read32(&f->guest, MMIO_INTERRUPT_STATUS);
}

// -- features --

static void test_features(void **state)
{
	struct fixture *f = new_fixture();
	uint64_t features;

	create_vhost(f, 1, RING_FEATURES, false);
	features = guest_device_features(&f->guest);
	assert_int_equal(features & RING_FEATURES, RING_FEATURES);
	assert_false(features & VIRTIO_F_RING_PACKED);
	assert_true(features & NET_F_GUEST_TSO4);
	*state = f;
	teardown(state);

	create_vhost(f, 1, VIRTIO_F_VERSION_1, false);
	features = guest_device_features(&f->guest);
	assert_int_equal(features & (RING_FEATURES | VIRTIO_F_RING_PACKED), VIRTIO_F_VERSION_1);
	teardown(state);
}

// Its accelerator would not learn what is written.
static void test_not_on_the_engine(void **state)
{
	struct fixture *f = new_fixture();

	guest_init(&f->guest);
	script_net_init(&f->script, 1, true);
	f->script.net.info.ring_features = RING_FEATURES;
	assert_int_equal(create_device(f, 1), -ENOTSUP);
	assert_int_equal(f->script.closed, 1);
	script_net_exit(&f->script);
	guest_exit(&f->guest);
}

// -- start and stop --

static void test_start(void **state)
{
	struct fixture *f = *state;

	start(f, DRIVER_FEATURES);
	assert_ptr_equal(f->script.ring_memory, &f->guest.memory);
	assert_int_equal(f->script.ring_features,
			 VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | NET_F_MRG_RXBUF);
	for (unsigned i = 0; i < 2; i++) {
		const struct net_ring *given = &ring(f, i)->ring;

		assert_true(runs(f, i));
		assert_int_equal(given->size, QUEUE_SIZE);
		assert_int_equal(given->next_avail, 0);
		assert_ptr_equal(given->desc, f->q[i].desc);
		assert_ptr_equal(given->avail, f->q[i].avail);
		assert_ptr_equal(given->used, f->q[i].used);
		// There may be chains already.
		assert_int_equal(signals(f, given->kick_fd), 1);
	}
	assert_false(runs(f, 2));
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	f->script.chains_taken = 5;
	for (unsigned round = 1; round <= 3; round++) {
		start(f, DRIVER_FEATURES);
		assert_true(runs(f, 0) && runs(f, 1));
		assert_int_equal(ring(f, 1)->starts, round);
		assert_int_equal(ring(f, 1)->ring.next_avail, 0);
		guest_write32(&f->guest, MMIO_STATUS, 0);
		assert_false(runs(f, 0) || runs(f, 1));
	}
}

static void test_a_ring_outside_memory(void **state)
{
	struct fixture *f = *state;

	guest_negotiate(&f->guest, DRIVER_FEATURES);
	guest_set_up_queue(&f->guest, &f->q[0], 0, QUEUE_SIZE);
	guest_place_queue(&f->guest, &f->q[1], 1, QUEUE_SIZE);
	guest_write32(&f->guest, MMIO_QUEUE_SEL, 1);
	guest_write32(&f->guest, MMIO_QUEUE_NUM, QUEUE_SIZE);
	guest_write32(&f->guest, MMIO_QUEUE_DESC, 0x1000);
	guest_write32(&f->guest, MMIO_QUEUE_READY, 1);
	guest_write32(&f->guest, MMIO_STATUS, GUEST_DRIVER_OK);
	assert_true(needs_reset(f));
	assert_int_equal(ring(f, 0)->starts, 0);
	assert_int_equal(ring(f, 1)->starts, 0);
}

static void test_start_fails(void **state)
{
	struct fixture *f = *state;

	f->script.ring_error = -EFAULT;
	f->script.ring_failing = 1;
	guest_negotiate(&f->guest, DRIVER_FEATURES);
	for (unsigned i = 0; i < 2; i++)
		guest_set_up_queue(&f->guest, &f->q[i], i, QUEUE_SIZE);
	guest_write32(&f->guest, MMIO_STATUS, GUEST_DRIVER_OK);
	assert_true(needs_reset(f));
	assert_int_equal(ring(f, 0)->starts, 1);
	assert_int_equal(ring(f, 0)->stops, 1);
	f->script.ring_error = 0;
	start(f, DRIVER_FEATURES);
	assert_false(needs_reset(f));
	assert_true(runs(f, 0) && runs(f, 1));
}

// -- signals --

static void test_notifications(void **state)
{
	struct fixture *f = *state;

	start(f, DRIVER_FEATURES);
	for (unsigned i = 0; i < 2; i++)
		signals(f, ring(f, i)->ring.kick_fd);
	guest_kick(&f->q[1]);
	assert_int_equal(signals(f, ring(f, 1)->ring.kick_fd), 1);
	assert_int_equal(signals(f, ring(f, 0)->ring.kick_fd), 0);
}

static void test_interrupts(void **state)
{
	struct fixture *f = *state;

	signal_device(f, f->net->pairs[0].vhost.call.fd); // nobody is there
	assert_int_equal(isr(f), 0);
	start(f, DRIVER_FEATURES);
	for (unsigned i = 0; i < 2; i++) {
		signal_device(f, ring(f, i)->ring.call_fd);
		assert_int_equal(isr(f), VIRTIO_ISR_QUEUE);
		assert_true(f->guest.irqchip.high);
		guest_write32(&f->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
		assert_int_equal(isr(f), 0);
		assert_false(f->guest.irqchip.high);
	}
}

// The device does not listen then: the kernel would find what it read gone.
static void test_interrupts_by_the_kernel(void **state)
{
	struct fixture *f = *state;
	struct net_vhost *vhost = &f->net->pairs[0].vhost;

	f->guest.irqchip.pulse_result = -ENOTSUP;
	f->net->vdev.irq.edge = true;
	start(f, DRIVER_FEATURES);
	signal_device(f, vhost->call.fd);
	assert_int_equal(f->guest.irqchip.edges, 1);

	guest_write32(&f->guest, MMIO_STATUS, 0);
	f->guest.irqchip.pulse_result = 0;
	start(f, DRIVER_FEATURES);
	assert_int_equal(f->guest.irqchip.pulse_fd, vhost->call.fd);
	signal_device(f, vhost->call.fd);
	assert_int_equal(f->guest.irqchip.edges, 1);
}

static void test_a_broken_ring(void **state)
{
	struct fixture *f = *state;

	start(f, DRIVER_FEATURES);
	signal_device(f, ring(f, 1)->ring.error_fd);
	assert_true(needs_reset(f));
	assert_int_equal(isr(f), VIRTIO_ISR_CONFIG);
	assert_false(runs(f, 0) || runs(f, 1));
	guest_write32(&f->guest, MMIO_STATUS, 0);
	assert_int_equal(ring(f, 1)->stops, 1);
	start(f, DRIVER_FEATURES);
	assert_false(needs_reset(f));
	assert_true(runs(f, 0) && runs(f, 1));
}

// The accelerator's eventfd goes to the kernel, and comes back.
static void test_doorbells(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bell_count, 3);
	for (unsigned round = 0; round < 2; round++) {
		start(f, DRIVER_FEATURES);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(ring(f, i)->ring.kick_fd, bells[i]);
			signals(f, bells[i]);
			signal_device(f, bells[i]); // which does not hand it on again
			assert_int_equal(signals(f, bells[i]), 1);
		}
		guest_write32(&f->guest, MMIO_STATUS, 0);
		for (unsigned i = 0; i < 2; i++)
			signal_device(f, bells[i]);
	}
}

// -- pause --

static void test_hold(void **state)
{
	struct fixture *f = *state;

	start(f, DRIVER_FEATURES);
	f->script.chains_taken = 5;
	for (unsigned round = 1; round <= 2; round++) {
		virtio_hold(&f->net->vdev, true);
		virtio_hold(&f->net->vdev, true);
		assert_int_equal(ring(f, 0)->stops, round);
		assert_int_equal(ring(f, 1)->stops, round);
		virtio_hold(&f->net->vdev, false);
		virtio_hold(&f->net->vdev, false);
		assert_true(runs(f, 0) && runs(f, 1));
		assert_int_equal(ring(f, 0)->ring.next_avail, 5 * round);
		assert_true(signals(f, ring(f, 0)->ring.kick_fd) > 0);
	}
}

static void test_hold_without_a_driver(void **state)
{
	struct fixture *f = *state;

	virtio_hold(&f->net->vdev, true);
	virtio_hold(&f->net->vdev, false);
	assert_int_equal(ring(f, 0)->starts, 0);
}

static void test_release_fails(void **state)
{
	struct fixture *f = *state;

	start(f, DRIVER_FEATURES);
	virtio_hold(&f->net->vdev, true);
	f->script.ring_error = -EFAULT;
	virtio_hold(&f->net->vdev, false);
	assert_true(needs_reset(f));
	assert_int_equal(ring(f, 0)->starts, 1);
	f->script.ring_error = 0;
	start(f, DRIVER_FEATURES);
	assert_true(runs(f, 0) && runs(f, 1));
	assert_int_equal(ring(f, 0)->ring.next_avail, 0);
}

// -- beside the rings --

static void test_control(void **state)
{
	struct fixture *f = *state;
	uint64_t offloads = NET_F_GUEST_CSUM;
	uint16_t pairs = PAIRS_MAX;
	unsigned queue = 2 * PAIRS_MAX;

	start(f, DRIVER_FEATURES | NET_F_MQ | NET_F_CTRL_GUEST_OFFLOADS | NET_F_GUEST_CSUM |
			 NET_F_GUEST_TSO4);
	for (unsigned i = 0; i < queue; i++)
		assert_true(runs(f, i));
	assert_int_equal(f->script.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	assert_int_equal(control_on(f, queue, 5, 0, &offloads, sizeof(offloads)), 0);
	assert_int_equal(f->script.offloads, NET_OFFLOAD_CSUM);
	assert_int_equal(control_on(f, queue, 4, 0, &pairs, sizeof(pairs)), 0);
	assert_int_equal(f->script.pairs_used, PAIRS_MAX);
	assert_false(f->script.queues[1].watched);
}

static void test_link(void **state)
{
	struct fixture *f = *state;

	start(f, DRIVER_FEATURES | NET_F_STATUS);
	script_net_set_link(&f->script, false);
	assert_int_equal(guest_read_config(&f->guest, MAC_BYTES, 2), 0);
	assert_int_equal(isr(f), VIRTIO_ISR_CONFIG);
	assert_true(runs(f, 0) && runs(f, 1));
}

#define VHOST_TEST(test) cmocka_unit_test_setup_teardown(test, setup_vhost, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_not_on_the_engine),
		VHOST_TEST(test_start),
		VHOST_TEST(test_reset),
		VHOST_TEST(test_a_ring_outside_memory),
		VHOST_TEST(test_start_fails),
		VHOST_TEST(test_notifications),
		VHOST_TEST(test_interrupts),
		VHOST_TEST(test_interrupts_by_the_kernel),
		VHOST_TEST(test_a_broken_ring),
		cmocka_unit_test_setup_teardown(test_doorbells, setup_doorbells, teardown),
		VHOST_TEST(test_hold),
		VHOST_TEST(test_hold_without_a_driver),
		VHOST_TEST(test_release_fails),
		cmocka_unit_test_setup_teardown(test_control, setup_vhost_pairs, teardown),
		VHOST_TEST(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
