// SPDX-License-Identifier: GPL-2.0-or-later
// The network device's control queue, and what it controls: filters, pairs, offloads.

#include "virtio-net-fixture.h"

enum { CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE, CLASS_MQ, CLASS_OFFLOADS };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };

#define F_FILTERS                                                                \
	(NET_F_MRG_RXBUF | NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA | \
	 NET_F_CTRL_MAC_ADDR)
#define OK 0
#define ERR 1

static const uint8_t group_mac[MAC_BYTES] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x07 };
static const uint8_t broadcast_mac[MAC_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

// -- filters --

// Whether a frame for @mac reaches the driver. Only once between starts, or after no.
static bool reaches(struct fixture *f, const uint8_t *mac)
{
	struct net_header header = { 0 };
	struct ring_used_elem elem;

	offer_buffer(f, 0, 0, 2048);
	guest_kick(&f->q[0]);
	put_frame(f, 0, header, mac, 100);
	settle(f);
	return guest_take_used(&f->q[0], &elem);
}

static unsigned mode(struct fixture *f, uint8_t command, uint8_t on)
{
	return control(f, CLASS_RX, command, &on, sizeof(on));
}

// Starts the device anew, with these modes switched on and promiscuous mode off.
static void with_modes(struct fixture *f, uint64_t features, unsigned modes)
{
	start(f, features);
	assert_int_equal(mode(f, RX_PROMISC, 0), OK);
	for (unsigned i = 1; i <= RX_NOBCAST; i++)
		if (modes & 1u << i)
			assert_int_equal(mode(f, i, 1), OK);
}

static void test_promiscuous_at_first(void **state)
{
	struct fixture *f = *state;

	start(f, F_FILTERS);
	assert_true(reaches(f, other_mac));
	with_modes(f, F_FILTERS, 0);
	assert_false(reaches(f, other_mac));
	start(f, F_FILTERS);
	assert_true(reaches(f, other_mac));
}

static void test_modes(void **state)
{
	static const struct {
		unsigned modes;
		bool own, other, group, broadcast;
	} cases[] = {
		{ 0, true, false, false, true },
		{ 1 << RX_ALLMULTI, true, false, true, true },
		{ 1 << RX_ALLUNI, true, true, false, true },
		{ 1 << RX_NOBCAST, true, false, false, false },
		{ 1 << RX_NOUNI, false, false, false, true },
		{ 1 << RX_NOUNI | 1 << RX_ALLUNI, false, false, false, true },
		{ 1 << RX_NOMULTI | 1 << RX_ALLMULTI, true, false, false, true },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		with_modes(f, F_FILTERS, cases[i].modes);
		assert_int_equal(reaches(f, guest_mac), cases[i].own);
		with_modes(f, F_FILTERS, cases[i].modes);
		assert_int_equal(reaches(f, other_mac), cases[i].other);
		with_modes(f, F_FILTERS, cases[i].modes);
		assert_int_equal(reaches(f, group_mac), cases[i].group);
		with_modes(f, F_FILTERS, cases[i].modes);
		assert_int_equal(reaches(f, broadcast_mac), cases[i].broadcast);
	}
}

// A frame that was filtered out was written to memory, and that is reported.
static void test_filtered_frame_is_marked(void **state)
{
	struct fixture *f = *state;

	with_modes(f, F_FILTERS, 0);
	guest_forget_marks(&f->guest);
	assert_false(reaches(f, other_mac));
	assert_true(guest_was_marked(&f->guest, buffer_gpa(0, 0) + HEADER_BYTES, 100));
}

static size_t put_table(uint8_t *data, uint32_t count, const uint8_t *mac)
{
	memcpy(data, &count, sizeof(count));
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *entry = data + sizeof(count) + (size_t)i * MAC_BYTES;

		memset(entry, 0x42, MAC_BYTES);
		if (i == count - 1)
			memcpy(entry, mac, MAC_BYTES);
	}
	return sizeof(count) + (size_t)count * MAC_BYTES;
}

static void set_tables(struct fixture *f, uint32_t unicast, uint32_t multicast)
{
	uint8_t data[4096];
	size_t bytes = put_table(data, unicast, other_mac);

	bytes += put_table(data + bytes, multicast, group_mac);
	with_modes(f, F_FILTERS, 0);
	assert_int_equal(control(f, CLASS_MAC, 0, data, bytes), OK);
}

static void test_mac_tables(void **state)
{
	static const uint8_t nobody[MAC_BYTES] = { 0x02, 1, 2, 3, 4, 5 };
	static const uint8_t no_group[MAC_BYTES] = { 0x03, 1, 2, 3, 4, 5 };
	struct fixture *f = *state;

	set_tables(f, 1, 0);
	assert_true(reaches(f, other_mac));
	set_tables(f, 64, 64);
	assert_true(reaches(f, other_mac));
	set_tables(f, 64, 64);
	assert_true(reaches(f, group_mac));
	set_tables(f, 64, 64);
	assert_false(reaches(f, nobody));
	assert_false(reaches(f, no_group));
	// More than fit stand for all of their kind.
	set_tables(f, 65, 1);
	assert_true(reaches(f, nobody));
	set_tables(f, 65, 1);
	assert_false(reaches(f, no_group));
	set_tables(f, 0, 65);
	assert_true(reaches(f, no_group));
}

static void test_mac_tables_that_lie(void **state)
{
	struct fixture *f = *state;
	uint32_t counts[] = { 1, 2, 1000000, UINT32_MAX, UINT32_MAX / 6 + 1 };
	uint8_t data[100];

	with_modes(f, F_FILTERS, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		memset(data, 0, sizeof(data));
		memcpy(data, &counts[i], sizeof(counts[i]));
		assert_int_equal(control(f, CLASS_MAC, 0, data, 9), ERR);
		memset(data, 0, sizeof(data));
		memcpy(data + 4, &counts[i], sizeof(counts[i]));
		assert_int_equal(control(f, CLASS_MAC, 0, data, 13), ERR);
	}
	assert_int_equal(control(f, CLASS_MAC, 0, data, 3), ERR);
	assert_int_equal(control(f, CLASS_MAC, 0, NULL, 0), ERR);
	assert_false(reaches(f, other_mac));
}

static void test_mac_address(void **state)
{
	struct fixture *f = *state;
	uint64_t mac = 0;

	with_modes(f, F_FILTERS, 0);
	assert_int_equal(control(f, CLASS_MAC, 1, other_mac, 5), ERR);
	assert_int_equal(control(f, CLASS_MAC, 1, other_mac, 6), OK);
	assert_int_equal(control(f, CLASS_MAC, 2, other_mac, 6), ERR);
	memcpy(&mac, other_mac, MAC_BYTES);
	assert_true((guest_read_config(&f->guest, 0, 8) & 0xffffffffffff) == mac);
	assert_false(reaches(f, guest_mac));
	assert_true(reaches(f, other_mac));
}

static bool tagged_reaches(struct fixture *f, uint16_t id)
{
	uint8_t tagged[HEADER_BYTES + 64] = { 0 };
	struct ring_used_elem elem;

	memcpy(tagged + HEADER_BYTES, guest_mac, MAC_BYTES);
	memcpy(tagged + HEADER_BYTES + 12, "\x81\x00", 2);
	tagged[HEADER_BYTES + 14] = 0xe0 | id >> 8; // with a priority
	tagged[HEADER_BYTES + 15] = (uint8_t)id;
	assert_true(script_net_put(&f->script, 0, tagged, sizeof(tagged)));
	settle(f);
	return guest_take_used(&f->q[0], &elem);
}

static void test_vlans(void **state)
{
	struct fixture *f = *state;
	uint16_t id = 0xabc, beyond = 4096;

	with_modes(f, F_FILTERS | NET_F_CTRL_VLAN, 1 << RX_ALLUNI);
	for (unsigned i = 0; i < 4; i++)
		offer_buffer(f, 0, i, 2048);
	guest_kick(&f->q[0]);
	assert_false(tagged_reaches(f, id));
	assert_int_equal(control(f, CLASS_VLAN, 0, &id, sizeof(id)), OK);
	assert_true(tagged_reaches(f, id));
	assert_false(tagged_reaches(f, id + 1));
	assert_int_equal(control(f, CLASS_VLAN, 1, &id, sizeof(id)), OK);
	assert_false(tagged_reaches(f, id));
	assert_int_equal(control(f, CLASS_VLAN, 0, &beyond, sizeof(beyond)), ERR);
	assert_int_equal(control(f, CLASS_VLAN, 2, &id, sizeof(id)), ERR);
	assert_int_equal(control(f, CLASS_VLAN, 0, &id, 1), ERR);
}

// A bridge in the guest, or one that listens in, asks for all frames (5.1.6.5.1.1), not for
// those of the VLANs that it knows.
static void test_promiscuous_in_vlans(void **state)
{
	struct fixture *f = *state;
	uint16_t id = 0xabc;

	start(f, F_FILTERS | NET_F_CTRL_VLAN);
	for (unsigned i = 0; i < 4; i++)
		offer_buffer(f, 0, i, 2048);
	guest_kick(&f->q[0]);
	assert_int_equal(control(f, CLASS_VLAN, 0, &id, sizeof(id)), OK);
	assert_true(tagged_reaches(f, id + 1));
	assert_int_equal(mode(f, RX_PROMISC, 0), OK);
	assert_false(tagged_reaches(f, id + 1));
	assert_int_equal(mode(f, RX_PROMISC, 1), OK);
	assert_true(tagged_reaches(f, id + 1));
}

static void test_vlans_without_the_feature(void **state)
{
	struct fixture *f = *state;

	start(f, F_FILTERS);
	offer_buffer(f, 0, 0, 2048);
	guest_kick(&f->q[0]);
	assert_true(tagged_reaches(f, 5));
}

// -- pairs --

#define F_PAIRS (NET_F_MRG_RXBUF | NET_F_CTRL_VQ | NET_F_MQ | NET_F_CTRL_RX)

static bool pair_receives(struct fixture *f, unsigned pair, unsigned index)
{
	struct net_header header = { 0 };
	struct ring_used_elem elem;

	offer_buffer(f, pair, index, 2048);
	guest_kick(&f->q[2 * pair]);
	put_frame(f, pair, header, guest_mac, 100);
	settle(f);
	return guest_take_used(&f->q[2 * pair], &elem);
}

static unsigned set_pairs(struct fixture *f, uint16_t pairs)
{
	return control_on(f, 4, CLASS_MQ, 0, &pairs, sizeof(pairs));
}

static void test_pairs(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_PAIRS);
	assert_int_equal(f->script.pairs_used, 1);
	assert_true(pair_receives(f, 0, 0));
	assert_false(pair_receives(f, 1, 0));
	assert_int_equal(set_pairs(f, 2), OK);
	assert_int_equal(f->script.pairs_used, 2);
	// The frame that waited on the wire comes now.
	guest_wait_used(&f->q[2], &elem);
	assert_true(pair_receives(f, 1, 1));
	assert_int_equal(set_pairs(f, 1), OK);
	assert_false(pair_receives(f, 1, 2));
	assert_false(f->script.queues[1].watched);
	assert_true(pair_receives(f, 0, 1));
}

static void test_wrong_number_of_pairs(void **state)
{
	struct fixture *f = *state;
	uint16_t two = 2;

	start(f, F_PAIRS);
	assert_int_equal(set_pairs(f, 0), ERR);
	assert_int_equal(set_pairs(f, 3), ERR);
	assert_int_equal(set_pairs(f, 0x8001), ERR);
	assert_int_equal(control_on(f, 4, CLASS_MQ, 0, &two, 1), ERR);
	assert_int_equal(control_on(f, 4, CLASS_MQ, 1, &two, 2), ERR);
	assert_int_equal(f->script.pairs_used, 1);
}

// Filters and offloads are those of every pair.
static void test_all_pairs_filter(void **state)
{
	struct fixture *f = *state;
	uint8_t off = 0;
	struct net_header header = { 0 };
	struct ring_used_elem elem;

	start(f, F_PAIRS);
	assert_int_equal(set_pairs(f, 2), OK);
	assert_int_equal(control_on(f, 4, CLASS_RX, RX_PROMISC, &off, 1), OK);
	put_frame(f, 1, header, other_mac, 200);
	assert_true(pair_receives(f, 1, 0));
	assert_false(guest_take_used(&f->q[2], &elem));
}

// A driver that knows of one pair has its control queue behind that (5.1.2), on a loop of
// the second pair's.
static void test_control_queue_without_mq(void **state)
{
	struct fixture *f = *state;
	uint64_t offloads = 0;
	uint16_t two = 2;

	start(f, (F_FILTERS | NET_F_CTRL_GUEST_OFFLOADS | NET_F_GUEST_CSUM));
	assert_int_equal(mode(f, RX_PROMISC, 0), OK);
	assert_false(reaches(f, other_mac));
	assert_int_equal(control(f, CLASS_OFFLOADS, 0, &offloads, 8), OK);
	assert_int_equal(f->script.offloads, 0);
	assert_int_equal(control(f, CLASS_MQ, 0, &two, 2), ERR);
	script_net_set_link(&f->script, false);
	script_net_set_link(&f->script, true);
	assert_int_equal(mode(f, RX_PROMISC, 1), OK);
}

#define COMMANDS (QUEUE_SIZE / 2)

// As control(), many times, and without waiting.
static void offer_commands(struct fixture *f, unsigned queue)
{
	struct guest_queue *q = &f->q[queue];

	memcpy(guest_ram(&f->guest, CONTROL_GPA), (uint8_t[]){ CLASS_RX, RX_ALLUNI, 1 }, 3);
	for (unsigned i = 0; i < COMMANDS; i++) {
		guest_desc(q, 2 * i, CONTROL_GPA, 3, RING_DESC_NEXT, 2 * i + 1);
		guest_desc(q, 2 * i + 1, ACK_GPA, 1, RING_DESC_WRITE, 0);
		guest_offer(q, 2 * i);
	}
	guest_kick(q);
}

// Commands wait for the loops of all pairs, and while the VM is paused these stand still.
static void hold_under_commands(struct fixture *f, unsigned queue)
{
	struct ring_used_elem elem;

	for (unsigned i = 0; i < 300; i++) {
		offer_commands(f, queue);
		virtio_hold(f->guest.vdev, true);
		virtio_hold(f->guest.vdev, false);
		for (unsigned j = 0; j < COMMANDS; j++)
			guest_wait_used(&f->q[queue], &elem);
	}
}

static void test_hold_under_commands(void **state)
{
	struct fixture *f = *state;

	start(f, F_PAIRS);
	assert_int_equal(set_pairs(f, 2), OK);
	hold_under_commands(f, 4);
	start(f, F_FILTERS);
	hold_under_commands(f, 2);
}

static void test_both_pairs_send(void **state)
{
	struct fixture *f = *state;
	struct net_header header = { 0 };

	start(f, F_PAIRS);
	send_frame(f, 0, header, 100);
	memcpy(guest_ram(&f->guest, SEND_GPA + 0x2000), &header, sizeof(header));
	guest_desc(&f->q[3], 0, SEND_GPA + 0x2000, HEADER_BYTES + 60, 0, 0);
	guest_offer(&f->q[3], 0);
	guest_kick(&f->q[3]);
	assert_int_equal(take_sent(f, 0, &header), 100);
	assert_int_equal(take_sent(f, 1, &header), 60);
}

// -- offloads --

static void test_offloads(void **state)
{
	struct fixture *f = *state;
	uint64_t features = NET_F_GUEST_CSUM | NET_F_GUEST_TSO4;
	uint64_t beyond = features | NET_F_GUEST_TSO6;
	struct net_header header = { .flags = 1, .csum_start = 34, .csum_offset = 16 };

	start(f, features | NET_F_CTRL_VQ | NET_F_CTRL_GUEST_OFFLOADS | NET_F_MRG_RXBUF);
	assert_int_equal(f->script.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	assert_int_equal(control(f, CLASS_OFFLOADS, 0, &beyond, 8), ERR);
	assert_int_equal(control(f, CLASS_OFFLOADS, 0, &features, 7), ERR);
	assert_int_equal(control(f, CLASS_OFFLOADS, 1, &features, 8), ERR);
	features = 0;
	assert_int_equal(control(f, CLASS_OFFLOADS, 0, &features, 8), OK);
	assert_int_equal(f->script.offloads, 0);
	// A frame that was under way when that changed is one that the driver cannot take.
	put_frame(f, 0, header, guest_mac, 300);
	assert_true(pair_receives(f, 0, 0));
	assert_int_equal(f->net->pairs[0].stats.kinds[IO_READ].errors, 1);
	f->script.offloads_error = -EIO;
	features = NET_F_GUEST_CSUM;
	assert_int_equal(control(f, CLASS_OFFLOADS, 0, &features, 8), ERR);
	f->script.offloads_error = 0;
}

// -- requests that are none --

static void test_unknown_commands(void **state)
{
	struct fixture *f = *state;
	uint8_t data[64] = { 0 };

	start(f, F_FILTERS | NET_F_GUEST_ANNOUNCE);
	for (unsigned class = 0; class < 256; class += 5)
		assert_int_equal(control(f, class, 99, data, sizeof(data)), ERR);
	assert_int_equal(control(f, CLASS_ANNOUNCE, 1, NULL, 0), ERR);
	// Not negotiated.
	assert_int_equal(control(f, CLASS_VLAN, 0, data, 2), ERR);
	assert_int_equal(control(f, CLASS_MQ, 0, "\x01", 2), ERR);
	assert_int_equal(control(f, CLASS_OFFLOADS, 0, data, 8), ERR);
	assert_int_equal(control(f, CLASS_RX, RX_PROMISC, NULL, 0), ERR);
	assert_false(needs_reset(f));
}

static void test_request_of_one_byte(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, F_FILTERS);
	offer_command(&f->q[2], 1);
	guest_wait_used(&f->q[2], &elem);
	assert_int_equal(*guest_ram(&f->guest, ACK_GPA), ERR);
}

static void test_request_without_room_for_the_result(void **state)
{
	struct fixture *f = *state;

	start(f, F_FILTERS);
	guest_desc(&f->q[2], 0, CONTROL_GPA, 3, 0, 0);
	guest_offer(&f->q[2], 0);
	guest_kick(&f->q[2]);
	assert_true(needs_reset(f));
}

// Without NET_F_CTRL_VQ the queue is nobody's.
static void test_no_control_queue(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f, NET_F_MRG_RXBUF);
	offer_command(&f->q[2], 3);
	settle(f);
	assert_false(guest_take_used(&f->q[2], &elem));
	assert_false(needs_reset(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(test_promiscuous_at_first),
		NET_TEST(test_modes),
		NET_TEST(test_filtered_frame_is_marked),
		NET_TEST(test_mac_tables),
		NET_TEST(test_mac_tables_that_lie),
		NET_TEST(test_mac_address),
		NET_TEST(test_vlans),
		NET_TEST(test_promiscuous_in_vlans),
		NET_TEST(test_vlans_without_the_feature),
		PAIRS_TEST(test_pairs),
		PAIRS_TEST(test_wrong_number_of_pairs),
		PAIRS_TEST(test_all_pairs_filter),
		PAIRS_TEST(test_control_queue_without_mq),
		PAIRS_TEST(test_hold_under_commands),
		PAIRS_TEST(test_both_pairs_send),
		NET_TEST(test_offloads),
		NET_TEST(test_unknown_commands),
		NET_TEST(test_request_of_one_byte),
		NET_TEST(test_request_without_room_for_the_result),
		NET_TEST(test_no_control_queue),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
