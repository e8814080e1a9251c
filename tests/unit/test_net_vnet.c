// SPDX-License-Identifier: GPL-2.0-or-later
// Headers before frames: the checksum that a driver leaves to the device.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "vnet.h"

#include <cmocka.h>

#define HEADER NET_VNET_HEADER_BYTES
#define CSUM_START 34  // Ethernet and IPv4
#define CSUM_OFFSET 16 // TCP

struct sample {
	uint8_t data[HEADER + 2000];
	size_t len; // header included
};

static void make_header(uint8_t *data, unsigned start, unsigned offset)
{
	memset(data, 0, HEADER);
	data[0] = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
	data[6] = (uint8_t)start;
	data[7] = (uint8_t)(start >> 8);
	data[8] = (uint8_t)offset;
	data[9] = (uint8_t)(offset >> 8);
}

static struct sample make_sample(size_t frame_len)
{
	struct sample sample = { .len = HEADER + frame_len };

	for (size_t i = HEADER; i < sample.len; i++)
		sample.data[i] = (uint8_t)(i * 31 + (i >> 5));
	make_header(sample.data, CSUM_START, CSUM_OFFSET);
	return sample;
}

// RFC 1071, as it stands there: of 16-bit words in network order.
static uint16_t reference(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	if (len & 1)
		sum += (uint32_t)(data[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

// With the checksum in its place the sum of all, and of the pseudo header whose sum was
// there before, is 0, that is 0xffff. Nothing else has changed, but for the header.
static void expect_complete(const struct sample *before, const struct sample *after)
{
	static const size_t field = HEADER + CSUM_START + CSUM_OFFSET;
	static const uint8_t no_flags[1];
	size_t even_len = after->len + (after->len & 1);
	uint8_t data[HEADER + 2000 + 2] = { 0 }; // the pseudo header's sum stands behind it

	memcpy(data, after->data, after->len);
	memcpy(data + even_len, before->data + field, 2);
	assert_int_equal(reference(data + HEADER + CSUM_START, even_len + 2 - HEADER - CSUM_START),
			 0xffff);
	assert_memory_equal(after->data, no_flags, 1);
	assert_memory_equal(after->data + HEADER, before->data + HEADER, field - HEADER);
	assert_memory_equal(after->data + field + 2, before->data + field + 2,
			    sizeof(after->data) - field - 2);
}

static void test_completes_frames_of_any_length(void **state)
{
	for (size_t len = CSUM_START + CSUM_OFFSET + 2; len < 200; len++) {
		struct sample before = make_sample(len), after = before;
		struct iovec iov = { after.data, sizeof(after.data) }; // more room than frame

		assert_int_equal(vnet_complete(&iov, 1, after.len), 0);
		expect_complete(&before, &after);
	}
}

static void test_completes_frames_in_any_pieces(void **state)
{
	struct sample before = make_sample(1501);

	for (size_t size = 1; size < 100; size++) {
		struct sample after = before;
		struct iovec iov[HEADER + 2000];
		unsigned count = 0;

		for (size_t at = 0; at < after.len; at += size)
			iov[count++] = (struct iovec){ after.data + at, MIN(size, after.len - at) };
		assert_int_equal(vnet_complete(iov, count, after.len), 0);
		expect_complete(&before, &after);
	}
}

static void test_leaves_complete_frames_alone(void **state)
{
	struct sample before = make_sample(100), after;
	struct iovec iov = { after.data, before.len };

	before.data[0] = 2; // VIRTIO_NET_HDR_F_DATA_VALID
	after = before;
	assert_int_equal(vnet_complete(&iov, 1, after.len), 0);
	assert_memory_equal(after.data, before.data, before.len);
}

static void test_never_writes_0(void **state)
{
	struct sample sample = { .len = HEADER + 60 };
	struct iovec iov = { sample.data, sample.len };

	make_header(sample.data, CSUM_START, 6); // UDP
	sample.data[HEADER + 50] = 0xff;
	sample.data[HEADER + 51] = 0xff;
	assert_int_equal(vnet_complete(&iov, 1, sample.len), 0);
	assert_int_equal(sample.data[HEADER + CSUM_START + 6], 0xff);
	assert_int_equal(sample.data[HEADER + CSUM_START + 7], 0xff);
}

static void refused(unsigned csum_start, unsigned csum_offset, size_t len)
{
	struct sample before = make_sample(len), after;
	struct iovec iov = { after.data, before.len };

	make_header(before.data, csum_start, csum_offset);
	after = before;
	assert_int_equal(vnet_complete(&iov, 1, after.len), -EINVAL);
	assert_memory_equal(after.data, before.data, sizeof(after.data));
}

static void test_refuses_what_is_not_in_the_frame(void **state)
{
	struct sample sample = make_sample(100);
	struct iovec iov = { sample.data, HEADER - 1 };

	refused(34, 65, 100);
	refused(99, 0, 100);
	refused(65535, 65535, 100);
	refused(0, 65535, 1900);
	assert_int_equal(vnet_complete(&iov, 1, 100), -EINVAL);
	assert_int_equal(vnet_complete(&iov, 1, HEADER - 1), -EINVAL);
	assert_int_equal(vnet_complete(NULL, 0, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_completes_frames_of_any_length),
		cmocka_unit_test(test_completes_frames_in_any_pieces),
		cmocka_unit_test(test_leaves_complete_frames_alone),
		cmocka_unit_test(test_never_writes_0),
		cmocka_unit_test(test_refuses_what_is_not_in_the_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
