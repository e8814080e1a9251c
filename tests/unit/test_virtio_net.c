// SPDX-License-Identifier: GPL-2.0-or-later
// The network device: what it says about itself, frames both ways, its link, its reset.

#include "virtio-net-fixture.h"

// What the driver of most tests takes.
#define F_ALL                                                                                     \
	(NET_F_CSUM | NET_F_GUEST_OFFLOADS | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN | \
	 NET_F_HOST_USO | NET_F_MRG_RXBUF | NET_F_STATUS | NET_F_CTRL_VQ | NET_F_GUEST_ANNOUNCE)

static const struct net_header plain_header = { 0 };

// -- what it says about itself --

static void test_features(void **state)
{
	struct fixture *f = *state;
	uint64_t features = guest_device_features(&f->guest) & ~(0xffULL << 24 | 0xffULL << 32);

	assert_int_equal(guest_read32(&f->guest, MMIO_DEVICE_ID), 1);
	assert_true(features ==
		    (F_ALL | NET_F_MAC | NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA | NET_F_CTRL_VLAN |
		     NET_F_CTRL_MAC_ADDR | NET_F_CTRL_GUEST_OFFLOADS));
}

static void test_features_of_a_plain_backend(void **state)
{
	struct fixture *f = *state;
	uint64_t features = guest_device_features(&f->guest);

	assert_false(features &
		     (NET_F_CSUM | NET_F_GUEST_OFFLOADS | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 |
		      NET_F_HOST_USO | NET_F_CTRL_GUEST_OFFLOADS | NET_F_MQ | NET_F_MTU));
	assert_true(features & NET_F_MRG_RXBUF && features & NET_F_CTRL_VQ);
}

static void test_config(void **state)
{
	struct fixture *f = *state;
	uint8_t mac[8];
	uint64_t value = guest_read_config(&f->guest, 0, 8);

	memcpy(mac, &value, sizeof(mac));
	assert_memory_equal(mac, guest_mac, MAC_BYTES);
	assert_int_equal(guest_read_config(&f->guest, 6, 2), NET_S_LINK_UP);
	assert_int_equal(guest_read_config(&f->guest, 8, 2), 1);
	assert_int_equal(guest_read_config(&f->guest, 10, 2), 0);
	assert_int_equal(guest_read_config(&f->guest, 12, 4), 0);
}

static void test_config_of_two_pairs(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_device_features(&f->guest) & NET_F_MQ);
	assert_int_equal(guest_read_config(&f->guest, 8, 2), 2);
}

// What the user says wins, for MAC and MTU; else the backend.
static void test_config_from_the_backend(void **state)
{
	struct fixture *f = new_fixture();
	struct virtio_device *vdev;
	uint64_t mac = 0;

	guest_init(&f->guest);
	script_net_init(&f->script, 1, true);
	f->script.net.info.mtu = 9000;
	f->script.net.info.has_mac = true;
	memcpy(f->script.net.info.mac, other_mac, MAC_BYTES);
	f->config.any_mac = true;
	assert_int_equal(
		virtio_net_create(&vdev, "net0", &f->guest.memory, &f->script.net, &f->config), 0);
	guest_attach(&f->guest, vdev);
	assert_true(guest_device_features(&f->guest) & NET_F_MTU);
	assert_int_equal(guest_read_config(&f->guest, 10, 2), 9000);
	memcpy(&mac, other_mac, MAC_BYTES);
	assert_true((guest_read_config(&f->guest, 0, 8) & 0xffffffffffff) == mac);
	*state = f;
	teardown(state);
}

static void test_attach_fails(void **state)
{
	struct fixture *f = new_fixture();
	struct virtio_device *vdev;

	guest_init(&f->guest);
	script_net_init(&f->script, 2, true);
	f->script.attach_error = -EBUSY;
	f->config.queue_pairs = 2;
	assert_int_equal(virtio_net_create(&vdev, "net0", &f->guest.memory, &f->script.net,
					   &f->config),
			 -EBUSY);
	*state = f;
	teardown(state);
}

// -- sending --

static void test_send(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;

	start(f, F_ALL);
	send_frame(f, 3, plain_header, 100);
	guest_wait_used(&f->q[1], &elem);
	assert_int_equal(elem.id, 3);
	assert_int_equal(elem.len, 0);
	assert_int_equal(take_sent(f, 0, &header), 100);
	assert_memory_equal(&header, &plain_header, sizeof(header));
	assert_true(is_frame(f->frame, other_mac, 100));
	assert_int_equal(f->guest.written_bytes, 0);
}

static void test_send_without_header(void **state)
{
	struct fixture *f = *state;
	struct net_header header = { .num_buffers = 7 };

	start(f, NET_F_MRG_RXBUF);
	send_frame(f, 0, header, 60);
	assert_int_equal(take_sent(f, 0, &header), 60);
	assert_true(is_frame(f->frame, other_mac, 60));
}

// A chain of single bytes, and an indirect one of three parts.
static void test_send_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct net_header header;
	uint8_t *ram = guest_ram(&f->guest, SEND_GPA);

	start(f, F_ALL | VIRTIO_F_INDIRECT_DESC);
	memset(ram, 0, HEADER_BYTES);
	make_frame(ram + HEADER_BYTES, other_mac, 500);
	for (unsigned i = 0; i < 15; i++)
		guest_desc(&f->q[1], i, SEND_GPA + i, 1, RING_DESC_NEXT, i + 1);
	guest_desc(&f->q[1], 15, SEND_GPA + 15, HEADER_BYTES + 500 - 15, 0, 0);
	guest_offer(&f->q[1], 0);
	guest_kick(&f->q[1]);
	assert_int_equal(take_sent(f, 0, &header), 500);
	assert_true(is_frame(f->frame, other_mac, 500));
}

static void test_send_checksum_and_segmentation(void **state)
{
	struct fixture *f = *state;
	struct net_header header = { .flags = 1,
				     .gso_type = 1,
				     .hdr_len = 54,
				     .gso_size = 1400,
				     .csum_start = 34,
				     .csum_offset = 16 };
	struct net_header sent;

	start(f, F_ALL);
	send_frame(f, 0, header, 3000);
	assert_int_equal(take_sent(f, 0, &sent), 3000);
	assert_memory_equal(&sent, &header, sizeof(sent));
}

// Each comes back, and none reaches the backend.
static void test_send_nonsense(void **state)
{
	static const struct {
		struct net_header header;
		size_t bytes;
	} cases[] = {
		{ { 0 }, 0 },
		{ { 0 }, 13 },
		{ { .flags = 1, .csum_start = 90, .csum_offset = 9 }, 100 },
		{ { .flags = 1, .csum_start = 65535, .csum_offset = 65535 }, 100 },
		{ { .gso_type = 1, .gso_size = 1400 }, 3000 },
		{ { .flags = 1, .gso_type = 1 }, 3000 },
		{ { .flags = 1, .gso_type = 3, .gso_size = 1400 }, 3000 },
		{ { .flags = 1, .gso_type = 2, .gso_size = 1400 }, 3000 },
		{ { .flags = 1, .gso_type = 0x85, .gso_size = 1400 }, 3000 },
	};
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;

	start(f, F_ALL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		send_frame(f, i, cases[i].header, cases[i].bytes);
		guest_wait_used(&f->q[1], &elem);
		assert_int_equal(elem.id, i);
	}
	assert_int_equal(take_sent(f, 0, &header), -1);
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_WRITE].errors, ARRAY_SIZE(cases));
	assert_false(needs_reset(f));
	send_frame(f, 0, plain_header, 64);
	assert_int_equal(take_sent(f, 0, &header), 64);
}

static void test_send_header_cut_short(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;

	start(f, F_ALL);
	for (unsigned bytes = 1; bytes < HEADER_BYTES; bytes++) {
		guest_desc(&f->q[1], 0, SEND_GPA, bytes, 0, 0);
		guest_offer(&f->q[1], 0);
		guest_kick(&f->q[1]);
		guest_wait_used(&f->q[1], &elem);
	}
	assert_int_equal(take_sent(f, 0, &header), -1);
	assert_false(needs_reset(f));
}

// Four times 20 KiB are more than any IP packet.
static void test_send_too_long(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;

	start(f, F_ALL);
	for (unsigned i = 0; i < 4; i++)
		guest_desc(&f->q[1], i, SEND_GPA, 20 * 1024, i < 3 ? RING_DESC_NEXT : 0, i + 1);
	guest_offer(&f->q[1], 0);
	guest_kick(&f->q[1]);
	guest_wait_used(&f->q[1], &elem);
	assert_int_equal(take_sent(f, 0, &header), -1);
	assert_false(needs_reset(f));
}

// What was not negotiated is not believed.
static void test_send_without_features(void **state)
{
	struct fixture *f = *state;
	struct net_header header = { .flags = 1, .csum_start = 34, .csum_offset = 16 };

	start(f, NET_F_MRG_RXBUF);
	send_frame(f, 0, header, 100);
	assert_int_equal(take_sent(f, 0, &header), -1);
	// Bits that mean nothing here are taken off.
	header = (struct net_header){ .flags = 0xfe, .num_buffers = 9, .hdr_len = 50 };
	send_frame(f, 0, header, 100);
	assert_int_equal(take_sent(f, 0, &header), 100);
	assert_memory_equal(&header, &plain_header, sizeof(header));
}

static void test_send_error(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_ALL);
	f->script.send_error = -EIO;
	send_frame(f, 0, plain_header, 100);
	guest_wait_used(&f->q[1], &elem);
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_WRITE].errors, 1);
	assert_false(needs_reset(f));
}

// A backend without room: the frames wait in the ring, and none is lost or overtaken.
static void test_send_waits(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;
	unsigned sent = 0, used = 0, taken = 0;

	start(f, F_ALL);
	do {
		send_frame(f, sent % QUEUE_SIZE, plain_header, 3000 + sent);
		sent++;
		settle(f);
		while (guest_take_used(&f->q[1], &elem))
			used++;
		assert_true(sent < 1000);
	} while (sent == used);
	send_frame(f, sent % QUEUE_SIZE, plain_header, 3000 + sent);
	sent++;
	while (taken < sent) {
		ssize_t bytes = take_sent(f, 0, &header);

		if (bytes >= 0)
			assert_int_equal(bytes, 3000 + taken++);
	}
	while (used < sent) {
		guest_wait_used(&f->q[1], &elem);
		assert_int_equal(elem.id, used++ % QUEUE_SIZE);
	}
}

static void test_send_batch_interrupts_once(void **state)
{
	struct fixture *f = *state;
	struct net_header header;

	start(f, F_ALL);
	for (unsigned i = 0; i < 8; i++) {
		guest_desc(&f->q[1], i, SEND_GPA, HEADER_BYTES + 60, 0, 0);
		guest_offer(&f->q[1], i);
	}
	guest_kick(&f->q[1]);
	settle(f);
	assert_int_equal(f->guest.irqchip.edges, 1);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(take_sent(f, 0, &header), 60);
}

// -- when the driver is told of what was sent --

#define NEVER_NS (3600 * NSEC_PER_SEC)

// A frame of @bytes goes out alone; nobody is told by the clock.
static void send_alone(struct fixture *f, size_t bytes)
{
	struct ring_used_elem elem;

	f->net->pairs[0].send_patience_ns = NEVER_NS;
	send_frame(f, 0, plain_header, bytes);
	guest_wait_used(&f->q[1], &elem);
	settle(f);
}

static bool is_owed(struct fixture *f)
{
	guest_sync(&f->guest);
	return f->net->pairs[0].send_owed.deadline_ns != 0;
}

static void test_told_with_the_answer(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_ALL);
	offer_buffer(f, 0, 5, 2048);
	guest_kick(&f->q[0]);
	send_alone(f, 60);
	assert_int_equal(f->guest.irqchip.edges, 0);
	assert_true(is_owed(f));
	put_frame(f, 0, plain_header, guest_mac, 200);
	guest_wait_used(&f->q[0], &elem);
	settle(f);
	assert_int_equal(f->guest.irqchip.edges, 1);
	assert_false(is_owed(f));
}

static void test_told_with_the_next_frame(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	send_alone(f, 60);
	assert_int_equal(f->guest.irqchip.edges, 0);
	send_alone(f, 60);
	assert_int_equal(f->guest.irqchip.edges, 1);
	assert_false(is_owed(f));
}

static void test_told_when_no_answer_comes(void **state)
{
	struct fixture *f = *state;

	assert_true(virtio_open_doorbell(&f->net->vdev, 1) >= 0);
	start(f, F_ALL);
	assert_int_equal(f->net->pairs[0].send_patience_ns, NSEC_PER_MSEC);
	send_frame(f, 0, plain_header, 60);
	assert_true(guest_wait_irq(&f->guest));
	assert_false(is_owed(f));
}

// Where it costs the vCPU no exits.
static void test_told_at_once_without_doorbells(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	assert_int_equal(f->net->pairs[0].send_patience_ns, 0);
	send_frame(f, 0, plain_header, 60);
	settle(f);
	assert_int_equal(f->guest.irqchip.edges, 1);
	assert_false(is_owed(f));
}

static void test_told_of_a_large_frame_at_once(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	send_alone(f, 1500);
	assert_int_equal(f->guest.irqchip.edges, 1);
	assert_false(is_owed(f));
}

static void test_told_nothing_it_does_not_want(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	f->q[1].avail->flags = RING_AVAIL_NO_INTERRUPT;
	send_alone(f, 60);
	assert_false(is_owed(f));
}

static void test_reset_pays_all(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	send_alone(f, 60);
	assert_true(is_owed(f));
	guest_write32(&f->guest, MMIO_STATUS, 0);
	assert_false(is_owed(f));
}

// -- receiving --

static void test_receive(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;

	start(f, F_ALL);
	offer_buffer(f, 0, 5, 2048);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 200);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.id, 5);
	assert_int_equal(elem.len, HEADER_BYTES + 200);
	header = buffer_header(f, 0, 5);
	assert_int_equal(header.num_buffers, 1);
	assert_true(is_frame(buffer(f, 0, 5) + HEADER_BYTES, guest_mac, 200));
	assert_true(guest_was_marked(&f->guest, buffer_gpa(0, 5), HEADER_BYTES + 200));
	assert_int_equal(f->guest.written_bytes, HEADER_BYTES + 200);
	assert_true(guest_wait_irq(&f->guest));
}

static void test_receive_without_header(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;

	start(f, 0);
	memset(buffer(f, 0, 0), 0xff, HEADER_BYTES);
	offer_buffer(f, 0, 0, 2048);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 1514);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.len, HEADER_BYTES + 1514);
	header = buffer_header(f, 0, 0);
	assert_int_equal(header.num_buffers, 1);
	header.num_buffers = 0;
	assert_memory_equal(&header, &plain_header, sizeof(header));
	assert_true(is_frame(buffer(f, 0, 0) + HEADER_BYTES, guest_mac, 1514));
}

// Reads what was received into several buffers of @size, and checks it.
static void check_merged(struct fixture *f, unsigned first, size_t size, size_t bytes)
{
	static uint8_t frame[80 * 1024];
	size_t total = HEADER_BYTES + bytes, at = 0;
	struct ring_used_elem elem;

	for (unsigned i = 0; at < total; i++) {
		guest_wait_used(&f->q[0], &elem);
		assert_int_equal(elem.id, (first + i) % QUEUE_SIZE);
		assert_int_equal(elem.len, MIN(size, total - at));
		memcpy(frame + at, buffer(f, 0, elem.id), elem.len);
		assert_true(guest_was_marked(&f->guest, buffer_gpa(0, elem.id), elem.len));
		at += elem.len;
	}
	assert_int_equal(((struct net_header *)frame)->num_buffers, (total + size - 1) / size);
	assert_true(is_frame(frame + HEADER_BYTES, guest_mac, bytes));
}

// The first large frame comes as a surprise, the second does not.
static void test_receive_merged(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		offer_buffer(f, 0, i, 0x1000);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 9014);
	check_merged(f, 0, 0x1000, 9014);
	put_frame(f, 0, plain_header, guest_mac, 30000);
	check_merged(f, 3, 0x1000, 30000);
	put_frame(f, 0, plain_header, guest_mac, 64);
	check_merged(f, 11, 0x1000, 64);
	assert_int_equal(f->guest.written_bytes, 3 * HEADER_BYTES + 9014 + 30000 + 64);
}

// Of all sizes, so that the buffers that are held move round their ring.
static void test_receive_many_sizes(void **state)
{
	struct fixture *f = *state;
	unsigned next = 0;

	start(f, F_ALL | VIRTIO_F_EVENT_IDX);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		offer_buffer(f, 0, i, 0x800);
	guest_kick(&f->q[0]);
	for (unsigned i = 0; i < 500; i++) {
		size_t bytes = 14 + i * 997 % 20000;
		unsigned buffers = (HEADER_BYTES + bytes + 0x7ff) / 0x800;

		put_frame(f, 0, plain_header, guest_mac, bytes);
		check_merged(f, next, 0x800, bytes);
		for (unsigned j = 0; j < buffers; j++)
			offer_buffer(f, 0, (next + j) % QUEUE_SIZE, 0x800);
		next = (next + buffers) % QUEUE_SIZE;
		guest_kick(&f->q[0]);
	}
}

// A header in a descriptor of its own, and odd pieces behind it.
static void test_receive_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, 0);
	guest_desc(&f->q[0], 0, RECEIVE_GPA, 5, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q[0], 1, RECEIVE_GPA + 5, 7, RING_DESC_WRITE | RING_DESC_NEXT, 2);
	guest_desc(&f->q[0], 2, RECEIVE_GPA + 12, 1, RING_DESC_WRITE | RING_DESC_NEXT, 3);
	guest_desc(&f->q[0], 3, RECEIVE_GPA + 13, 1600, RING_DESC_WRITE, 0);
	guest_offer(&f->q[0], 0);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 1000);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.len, HEADER_BYTES + 1000);
	assert_int_equal(buffer_header(f, 0, 0).num_buffers, 1);
	assert_true(is_frame(buffer(f, 0, 0) + HEADER_BYTES, guest_mac, 1000));
}

// Buffers that merge come one by one, and the frame waits for the last; the driver sees
// nothing of it before.
static void test_receive_waits_for_buffers(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	offer_buffer(f, 0, 0, 0x800);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 5000);
	for (unsigned i = 1; i < 3; i++) {
		assert_true(nothing_received(f, 0));
		assert_false(f->script.queues[0].watched);
		offer_buffer(f, 0, i, 0x800);
		guest_kick(&f->q[0]);
	}
	check_merged(f, 0, 0x800, 5000);
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_READ].errors, 0);
}

// More than the whole ring can hold: lost, and the next one comes.
static void test_receive_beyond_the_ring(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		offer_buffer(f, 0, i, 0x100);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 5000);
	put_frame(f, 0, plain_header, guest_mac, 500);
	check_merged(f, 0, 0x100, 500);
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_READ].errors, 1);
}

static void test_receive_without_merging(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_ALL & ~NET_F_MRG_RXBUF);
	offer_buffer(f, 0, 0, 1000);
	offer_buffer(f, 0, 1, 0x4000);
	guest_kick(&f->q[0]);
	// It does not fit, and does not get the next buffer either.
	put_frame(f, 0, plain_header, guest_mac, 1000 - HEADER_BYTES + 1);
	put_frame(f, 0, plain_header, guest_mac, 1000 - HEADER_BYTES);
	put_frame(f, 0, plain_header, guest_mac, 10000);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.id, 0);
	assert_int_equal(elem.len, 1000);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.id, 1);
	assert_int_equal(elem.len, HEADER_BYTES + 10000);
	assert_true(is_frame(buffer(f, 0, 1) + HEADER_BYTES, guest_mac, 10000));
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_READ].errors, 1);
}

static void test_receive_without_buffers(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_ALL);
	put_frame(f, 0, plain_header, guest_mac, 100);
	settle(f);
	assert_false(f->script.queues[0].watched);
	offer_buffer(f, 0, 0, 2048);
	guest_kick(&f->q[0]);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.len, HEADER_BYTES + 100);
	settle(f);
	assert_false(f->script.queues[0].watched);
}

static void test_receive_offloads(void **state)
{
	struct fixture *f = *state;
	struct net_header header = { .flags = 1,
				     .gso_type = 4 | 0x80,
				     .hdr_len = 74,
				     .gso_size = 1400,
				     .csum_start = 54,
				     .csum_offset = 16 };
	struct net_header received;
	struct ring_used_elem elem;

	start(f, F_ALL);
	assert_int_equal(f->script.offloads, SCRIPT_OFFLOADS);
	offer_buffer(f, 0, 0, 0x4000);
	guest_kick(&f->q[0]);
	put_frame(f, 0, header, guest_mac, 3000);
	guest_wait_used(&f->q[0], &elem);
	received = buffer_header(f, 0, 0);
	assert_int_equal(received.num_buffers, 1);
	received.num_buffers = 0;
	assert_memory_equal(&received, &header, sizeof(header));
}

// A driver that cannot complete checksums must not get frames that need it (5.1.6.4.1).
static void test_receive_without_offloads(void **state)
{
	struct fixture *f = *state;
	struct net_header valid = { .flags = 2 }, received;
	struct ring_used_elem elem;

	start(f, NET_F_MRG_RXBUF);
	assert_int_equal(f->script.offloads, 0);
	offer_buffer(f, 0, 0, 0x4000);
	guest_kick(&f->q[0]);
	put_frame(f, 0, (struct net_header){ .flags = 1, .csum_start = 34, .csum_offset = 16 },
		  guest_mac, 300);
	put_frame(f, 0, (struct net_header){ .gso_type = 1, .gso_size = 1400 }, guest_mac, 3000);
	put_frame(f, 0, valid, guest_mac, 500);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.len, HEADER_BYTES + 500);
	received = buffer_header(f, 0, 0);
	assert_int_equal(received.flags, 0);
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_READ].errors, 2);
}

// Without partial checksums there is no segmentation either, whatever the driver says.
static void test_offloads_depend_on_checksums(void **state)
{
	struct fixture *f = *state;

	start(f, NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_MRG_RXBUF);
	assert_int_equal(f->script.offloads, 0);
	start(f, NET_F_GUEST_CSUM | NET_F_GUEST_TSO6 | NET_F_GUEST_USO4);
	assert_int_equal(f->script.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
}

static void test_receive_short_frames(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_ALL);
	offer_buffer(f, 0, 0, 2048);
	guest_kick(&f->q[0]);
	for (size_t bytes = 1; bytes < HEADER_BYTES + 14; bytes++)
		assert_true(script_net_put(&f->script, 0, f->frame, bytes));
	put_frame(f, 0, plain_header, guest_mac, 14);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.len, HEADER_BYTES + 14);
}

// -- broken drivers --

static void test_buffer_without_room_for_a_header(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_ALL);
	offer_buffer(f, 0, 0, HEADER_BYTES - 1);
	guest_kick(&f->q[0]);
	assert_true(needs_reset(f));
	put_frame(f, 0, plain_header, guest_mac, 100);
	settle(f);
	assert_false(f->script.queues[0].watched);
	// The driver's reset brings it back to life.
	start(f, F_ALL);
	offer_buffer(f, 0, 0, 2048);
	guest_kick(&f->q[0]);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.len, HEADER_BYTES + 100);
}

static void test_buffer_that_is_readable(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	guest_desc(&f->q[0], 0, RECEIVE_GPA, 2048, 0, 0);
	guest_offer(&f->q[0], 0);
	guest_kick(&f->q[0]);
	assert_true(needs_reset(f));
}

static void test_chain_that_loops(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	guest_desc(&f->q[1], 0, SEND_GPA, 100, RING_DESC_NEXT, 0);
	guest_offer(&f->q[1], 0);
	guest_kick(&f->q[1]);
	assert_true(needs_reset(f));
}

// -- link --

static void test_link(void **state)
{
	struct fixture *f = *state;
	uint32_t generation;

	start(f, F_ALL);
	generation = guest_read32(&f->guest, MMIO_CONFIG_GENERATION);
	script_net_set_link(&f->script, true);
	assert_int_equal(guest_read32(&f->guest, MMIO_CONFIG_GENERATION), generation);
	script_net_set_link(&f->script, false);
	assert_int_equal(guest_read_config(&f->guest, 6, 2), 0);
	assert_true(guest_read32(&f->guest, MMIO_INTERRUPT_STATUS) & VIRTIO_ISR_CONFIG);
	assert_int_not_equal(guest_read32(&f->guest, MMIO_CONFIG_GENERATION), generation);
	script_net_set_link(&f->script, true);
	assert_int_equal(guest_read_config(&f->guest, 6, 2), NET_S_LINK_UP | NET_S_ANNOUNCE);
	assert_int_equal(control(f, 3, 0, NULL, 0), 0);
	assert_int_equal(guest_read_config(&f->guest, 6, 2), NET_S_LINK_UP);
}

static void test_link_of_a_driver_that_does_not_announce(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL & ~NET_F_GUEST_ANNOUNCE);
	script_net_set_link(&f->script, false);
	script_net_set_link(&f->script, true);
	assert_int_equal(guest_read_config(&f->guest, 6, 2), NET_S_LINK_UP);
	assert_int_equal(control(f, 3, 0, NULL, 0), 1);
}

// -- rates --

static void create_limited(struct fixture *f, uint64_t frames, uint64_t bytes)
{
	f->config.rate.ops = (struct rate){ .per_s = frames ? 1 : 0, .burst = frames };
	f->config.rate.bytes = (struct rate){ .per_s = bytes ? 1 : 0, .burst = bytes };
	create(f, 1, true);
	start(f, F_ALL);
}

// A bucket that is not quite empty lets one more through.
static void test_rate_of_sending(void **state)
{
	struct fixture *f = new_fixture();
	struct net_header header;
	unsigned sent = 0;

	create_limited(f, 3, 0);
	for (unsigned i = 0; i < 10; i++)
		send_frame(f, i, plain_header, 100);
	settle(f);
	while (take_sent(f, 0, &header) >= 0)
		sent++;
	assert_in_range(sent, 3, 4);
	*state = f;
	teardown(state);
}

static void test_rate_of_receiving(void **state)
{
	struct fixture *f = new_fixture();
	struct ring_used_elem elem;
	unsigned received = 0;

	create_limited(f, 0, 250);
	for (unsigned i = 0; i < 10; i++) {
		offer_buffer(f, 0, i, 2048);
		put_frame(f, 0, plain_header, guest_mac, 100);
	}
	guest_kick(&f->q[0]);
	// What a frame costs is known when it is there: the next one pays.
	settle(f);
	while (guest_take_used(&f->q[0], &elem))
		received++;
	assert_in_range(received, 4, 5);
	assert_false(f->script.queues[0].watched);
	*state = f;
	teardown(state);
}

// -- reset --

static void test_reset_forgets(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	struct net_header header;
	uint8_t mac[8] = { 0 };
	uint64_t value;

	start(f, F_ALL | NET_F_CTRL_MAC_ADDR);
	assert_int_equal(control(f, 1, 1, other_mac, MAC_BYTES), 0);
	f->script.send_error = -EAGAIN;
	send_frame(f, 0, plain_header, 100);
	offer_buffer(f, 0, 0, 0x800);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 5000);
	settle(f);
	guest_write32(&f->guest, MMIO_STATUS, 0);
	assert_int_equal(f->script.offloads, 0);
	assert_false(f->script.queues[0].watched);
	value = guest_read_config(&f->guest, 0, 8);
	memcpy(mac, &value, sizeof(mac));
	assert_memory_equal(mac, guest_mac, MAC_BYTES);
	f->script.send_error = 0;
	start(f, F_ALL);
	send_frame(f, 1, plain_header, 77);
	assert_int_equal(take_sent(f, 0, &header), 77);
	offer_buffer(f, 0, 2, 0x800);
	guest_kick(&f->q[0]);
	put_frame(f, 0, plain_header, guest_mac, 60);
	guest_wait_used(&f->q[0], &elem);
	assert_int_equal(elem.id, 2);
	assert_int_equal(elem.len, HEADER_BYTES + 60);
}

// Who resets the device may be a guest that goes on; who resets the machine is not.
static void test_another_guest(void **state)
{
	struct fixture *f = *state;

	start(f, F_ALL);
	guest_write32(&f->guest, MMIO_STATUS, 0);
	start(f, F_ALL);
	assert_int_equal(f->script.forgotten, 0);
	f->guest.dev->ops->reset(f->guest.dev);
	assert_int_equal(f->script.forgotten, 1);
}

// The same with packed rings.
static void test_packed(void **state)
{
	struct fixture *f = *state;
	struct net_header header;

	start(f, F_ALL | VIRTIO_F_RING_PACKED);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		offer_buffer(f, 0, i, 0x800);
	guest_kick(&f->q[0]);
	for (unsigned i = 0; i < 40; i++) {
		send_frame(f, i % QUEUE_SIZE, plain_header, 100 + i);
		assert_int_equal(take_sent(f, 0, &header), 100 + i);
	}
	for (unsigned i = 0; i < 60; i++) {
		put_frame(f, 0, plain_header, guest_mac, 3000);
		check_merged(f, 2 * i % QUEUE_SIZE, 0x800, 3000);
		offer_buffer(f, 0, 2 * i % QUEUE_SIZE, 0x800);
		offer_buffer(f, 0, (2 * i + 1) % QUEUE_SIZE, 0x800);
		guest_kick(&f->q[0]);
	}
}

// Packed rings may have any size, not only a power of two (virtio 1.2 2.8.10.1).
static void test_packed_of_any_size(void **state)
{
	struct fixture *f = *state;
	unsigned next = 0, size = 5;

	guest_start(&f->guest, F_ALL | VIRTIO_F_RING_PACKED, f->q, 3, size);
	for (unsigned i = 0; i < size; i++)
		offer_buffer(f, 0, i, 0x800);
	guest_kick(&f->q[0]);
	for (unsigned i = 0; i < 60; i++) {
		unsigned buffers = 1 + i % size;
		size_t bytes = buffers * 0x800 - HEADER_BYTES - i;

		put_frame(f, 0, plain_header, guest_mac, bytes);
		for (unsigned j = 0; j < buffers; j++) {
			struct ring_used_elem elem;

			guest_wait_used(&f->q[0], &elem);
			assert_int_equal(elem.id, (next + j) % size);
			assert_int_equal(elem.len, j + 1 < buffers ? 0x800 : 0x800 - i);
		}
		assert_int_equal(buffer_header(f, 0, next).num_buffers, buffers);
		for (unsigned j = 0; j < buffers; j++)
			offer_buffer(f, 0, (next + j) % size, 0x800);
		next = (next + buffers) % size;
		guest_kick(&f->q[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(test_features),
		PLAIN_TEST(test_features_of_a_plain_backend),
		NET_TEST(test_config),
		PAIRS_TEST(test_config_of_two_pairs),
		cmocka_unit_test(test_config_from_the_backend),
		cmocka_unit_test(test_attach_fails),
		NET_TEST(test_send),
		PLAIN_TEST(test_send_without_header),
		NET_TEST(test_send_in_pieces),
		NET_TEST(test_send_checksum_and_segmentation),
		NET_TEST(test_send_nonsense),
		NET_TEST(test_send_header_cut_short),
		NET_TEST(test_send_too_long),
		NET_TEST(test_send_without_features),
		NET_TEST(test_send_error),
		NET_TEST(test_send_waits),
		NET_TEST(test_send_batch_interrupts_once),
		NET_TEST(test_told_with_the_answer),
		NET_TEST(test_told_with_the_next_frame),
		NET_TEST(test_told_when_no_answer_comes),
		NET_TEST(test_told_at_once_without_doorbells),
		NET_TEST(test_told_of_a_large_frame_at_once),
		NET_TEST(test_told_nothing_it_does_not_want),
		NET_TEST(test_reset_pays_all),
		NET_TEST(test_receive),
		PLAIN_TEST(test_receive_without_header),
		NET_TEST(test_receive_merged),
		NET_TEST(test_receive_many_sizes),
		NET_TEST(test_receive_in_pieces),
		NET_TEST(test_receive_waits_for_buffers),
		NET_TEST(test_receive_beyond_the_ring),
		NET_TEST(test_receive_without_merging),
		NET_TEST(test_receive_without_buffers),
		NET_TEST(test_receive_offloads),
		NET_TEST(test_receive_without_offloads),
		NET_TEST(test_offloads_depend_on_checksums),
		NET_TEST(test_receive_short_frames),
		NET_TEST(test_buffer_without_room_for_a_header),
		NET_TEST(test_buffer_that_is_readable),
		NET_TEST(test_chain_that_loops),
		NET_TEST(test_link),
		NET_TEST(test_link_of_a_driver_that_does_not_announce),
		cmocka_unit_test(test_rate_of_sending),
		cmocka_unit_test(test_rate_of_receiving),
		NET_TEST(test_reset_forgets),
		NET_TEST(test_another_guest),
		NET_TEST(test_packed),
		NET_TEST(test_packed_of_any_size),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
