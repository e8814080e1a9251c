// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of the network device share: the device on a backend whose wire they
// hold, and a driver.
#ifndef KVIK_VIRTIO_NET_FIXTURE_H
#define KVIK_VIRTIO_NET_FIXTURE_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../virtio/net-priv.h"
#include "support-net.h"
#include "support-virtio.h"
#include "virtio-devices.h"
#include "vm-config.h"

#include <cmocka.h>

#define PAIRS_MAX 2
#define QUEUE_SIZE 16
#define SEND_GPA GUEST_DATA_GPA
#define RECEIVE_GPA (GUEST_DATA_GPA + 0x20000)
#define CONTROL_GPA (GUEST_DATA_GPA + 0xb0000)
#define ACK_GPA (CONTROL_GPA + 0x8000)
#define HEADER_BYTES NET_VNET_HEADER_BYTES

static const uint8_t guest_mac[MAC_BYTES] = { 0x02, 0x15, 0x15, 0x15, 0x15, 0x15 };
static const uint8_t other_mac[MAC_BYTES] = { 0x02, 0x99, 0x88, 0x77, 0x66, 0x55 };

struct fixture {
	struct guest guest;
	struct script_net script;
	struct net_config config;
	struct virtio_net *net;
	// Receive, transmit, ..., control.
	struct guest_queue q[2 * PAIRS_MAX + 1];
	uint8_t frame[80 * 1024]; // the test's: for the wire
};

// -- the device --

// The device on the backend that the script is.
static inline int create_device(struct fixture *f, unsigned pairs)
{
	struct virtio_device *vdev;
	int err;

	f->config.queue_pairs = pairs;
	memcpy(f->config.mac, guest_mac, MAC_BYTES);
	err = virtio_net_create(&vdev, "net0", &f->guest.memory, &f->script.net, &f->config);
	if (err)
		return err;
	f->net = to_net(vdev);
	guest_attach(&f->guest, vdev);
	return 0;
}

static inline void create(struct fixture *f, unsigned pairs, bool vnet_header)
{
	guest_init(&f->guest);
	script_net_init(&f->script, pairs, vnet_header);
	assert_int_equal(create_device(f, pairs), 0);
}

static inline void start(struct fixture *f, uint64_t features)
{
	unsigned queues = features & NET_F_MQ ? 2 * f->net->pair_count + 1 : 3;

	guest_start(&f->guest, features, f->q, queues, QUEUE_SIZE);
	guest_sync(&f->guest);
}

static inline struct fixture *new_fixture(void)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	return &f;
}

static inline int setup(void **state)
{
	struct fixture *f = new_fixture();

	create(f, 1, true);
	*state = f;
	return 0;
}

static inline int setup_plain(void **state)
{
	struct fixture *f = new_fixture();

	create(f, 1, false);
	*state = f;
	return 0;
}

static inline int setup_pairs(void **state)
{
	struct fixture *f = new_fixture();

	create(f, PAIRS_MAX, true);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	guest_exit(&f->guest);
	for (unsigned i = 0; i < f->script.net.info.queue_pairs_max; i++)
		assert_false(f->script.queues[i].attached);
	assert_int_equal(f->script.closed, 1);
	script_net_exit(&f->script);
	return 0;
}

#define NET_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define PLAIN_TEST(test) cmocka_unit_test_setup_teardown(test, setup_plain, teardown)
#define PAIRS_TEST(test) cmocka_unit_test_setup_teardown(test, setup_pairs, teardown)

static inline bool needs_reset(struct fixture *f)
{
	guest_sync(&f->guest);
	return guest_read32(&f->guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

// -- frames --

// Makes a frame of @bytes in @frame, for @mac.
static inline void make_frame(uint8_t *frame, const uint8_t mac[MAC_BYTES], size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(frame, mac, MIN(bytes, (size_t)MAC_BYTES));
	if (bytes >= ETHERNET_HEADER_BYTES)
		memcpy(frame + 12, "\x08\x00", 2);
}

static inline bool is_frame(const uint8_t *frame, const uint8_t mac[MAC_BYTES], size_t bytes)
{
	static uint8_t wanted[FRAME_MAX];

	make_frame(wanted, mac, bytes);
	return memcmp(frame, wanted, bytes) == 0;
}

// Sends from the guest: offers descriptor @index with @header and a frame of @bytes.
static inline void send_frame(struct fixture *f, unsigned index, struct net_header header,
			      size_t bytes)
{
	uint64_t gpa = SEND_GPA + index * 0x2000;

	memcpy(guest_ram(&f->guest, gpa), &header, sizeof(header));
	make_frame(guest_ram(&f->guest, gpa) + sizeof(header), other_mac, bytes);
	guest_desc(&f->q[1], index, gpa, sizeof(header) + bytes, 0, 0);
	guest_offer(&f->q[1], index);
	guest_kick(&f->q[1]);
}

// The next frame that was sent, without the header if there is one.
static inline ssize_t take_sent(struct fixture *f, unsigned pair, struct net_header *header)
{
	bool vnet = f->script.net.info.vnet_header;
	ssize_t bytes;

	guest_sync(&f->guest);
	bytes = script_net_take(&f->script, pair, f->frame, sizeof(f->frame));
	if (bytes < 0 || !vnet)
		return bytes;
	assert_true(bytes >= HEADER_BYTES);
	memcpy(header, f->frame, sizeof(*header));
	memmove(f->frame, f->frame + sizeof(*header), (size_t)bytes - sizeof(*header));
	return bytes - HEADER_BYTES;
}

static inline uint64_t buffer_gpa(unsigned pair, unsigned index)
{
	return RECEIVE_GPA + pair * 0x40000 + index * 0x4000;
}

// Offers a receive buffer of @bytes, as descriptor @index of pair @pair.
static inline void offer_buffer(struct fixture *f, unsigned pair, unsigned index, uint32_t bytes)
{
	struct guest_queue *q = &f->q[2 * pair];

	guest_desc(q, index, buffer_gpa(pair, index), bytes, RING_DESC_WRITE, 0);
	guest_offer(q, index);
}

static inline uint8_t *buffer(struct fixture *f, unsigned pair, unsigned index)
{
	return guest_ram(&f->guest, buffer_gpa(pair, index));
}

// Puts a frame for @mac on the wire.
static inline void put_frame(struct fixture *f, unsigned pair, struct net_header header,
			     const uint8_t mac[MAC_BYTES], size_t bytes)
{
	size_t offset = f->script.net.info.vnet_header ? sizeof(header) : 0;

	memcpy(f->frame, &header, offset);
	make_frame(f->frame + offset, mac, bytes);
	assert_true(script_net_put(&f->script, pair, f->frame, offset + bytes));
}

// Whatever is on the wire has been looked at: the loops have been round since.
static inline void settle(struct fixture *f)
{
	for (unsigned i = 0; i < 3; i++)
		guest_sync(&f->guest);
}

// Nothing was received, although the device had the time to.
static inline bool nothing_received(struct fixture *f, unsigned pair)
{
	struct ring_used_elem elem;

	settle(f);
	return !guest_take_used(&f->q[2 * pair], &elem);
}

static inline struct net_header buffer_header(struct fixture *f, unsigned pair, unsigned index)
{
	struct net_header header;

	memcpy(&header, buffer(f, pair, index), sizeof(header));
	return header;
}

// -- control --

// Offers @bytes of a command, and a byte for its result.
static inline void offer_command(struct guest_queue *q, size_t bytes)
{
	guest_desc(q, 0, CONTROL_GPA, bytes, RING_DESC_NEXT, 1);
	guest_desc(q, 1, ACK_GPA, 1, RING_DESC_WRITE, 0);
	guest_offer(q, 0);
	guest_kick(q);
}

// Runs a control command on queue @queue; returns its result.
static inline unsigned control_on(struct fixture *f, unsigned queue, uint8_t class, uint8_t command,
				  const void *data, size_t bytes)
{
	struct guest_queue *q = &f->q[queue];
	uint8_t *request = guest_ram(&f->guest, CONTROL_GPA);
	struct ring_used_elem elem;

	request[0] = class;
	request[1] = command;
	if (bytes)
		memcpy(request + 2, data, bytes);
	*guest_ram(&f->guest, ACK_GPA) = 0xaa;
	offer_command(q, 2 + bytes);
	guest_wait_used(q, &elem);
	guest_sync(&f->guest);
	assert_int_equal(elem.len, 1);
	assert_true(guest_was_marked(&f->guest, ACK_GPA, 1));
	return *guest_ram(&f->guest, ACK_GPA);
}

static inline unsigned control(struct fixture *f, uint8_t class, uint8_t command, const void *data,
			       size_t bytes)
{
	return control_on(f, 2, class, command, data, bytes);
}

#endif
