// SPDX-License-Identifier: GPL-2.0-or-later
// What a vhost device is told, and in which order: by a scripted ioctl(2), without a host
// that has vhost-net.

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../net/vhost.h"
#include "memory.h"
#include "net.h"
#include "vm-config.h"

#include <cmocka.h>

#define VHOST_FD 40
#define TAP_FD 41
#define CALLS_MAX 16
#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)

static struct {
	uint64_t features;
	unsigned avail_base;
	unsigned long failing; // request
	// What came.
	struct {
		unsigned long request;
		unsigned index;
		unsigned long value; // a number or a descriptor
	} calls[CALLS_MAX];
	unsigned count;
	struct vhost_vring_addr address;
	uint64_t features_set;
	struct vhost_memory_region regions[MEMORY_MAX_BANKS];
	unsigned region_count;
} host;

static void note(unsigned long request, unsigned index, unsigned long value)
{
	assert_true(host.count < CALLS_MAX);
	host.calls[host.count].request = request;
	host.calls[host.count].index = index;
	host.calls[host.count++].value = value;
}

static void take_memory(const struct vhost_memory *table)
{
	host.region_count = table->nregions;
	assert_true(host.region_count <= MEMORY_MAX_BANKS);
	memcpy(host.regions, table->regions, host.region_count * sizeof(host.regions[0]));
}

static void serve(unsigned long request, void *data)
{
	struct vhost_vring_state *state = data;
	const struct vhost_vring_file *file = data;

	switch (request) {
	case VHOST_GET_FEATURES:
		*(uint64_t *)data = host.features;
		break;
	case VHOST_SET_FEATURES:
		host.features_set = *(uint64_t *)data;
		break;
	case VHOST_SET_MEM_TABLE:
		take_memory(data);
		break;
	case VHOST_GET_VRING_BASE:
		state->num = host.avail_base;
		break;
	case VHOST_SET_VRING_ADDR:
		host.address = *(struct vhost_vring_addr *)data;
		note(request, host.address.index, 0);
		return;
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
		note(request, state->index, state->num);
		return;
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
	case VHOST_NET_SET_BACKEND:
		note(request, file->index, (unsigned)file->fd);
		return;
	}
	note(request, 0, 0);
}

// In place of the C library's.
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *data;

	va_start(args, request);
	data = va_arg(args, void *);
	va_end(args);
	if (_IOC_TYPE(request) != VHOST_VIRTIO)
		return (int)syscall(SYS_ioctl, fd, request, data);
	if (request == host.failing) {
		errno = EFAULT;
		return -1;
	}
	serve(request, data);
	return 0;
}

static int setup(void **state)
{
	memset(&host, 0, sizeof(host));
	host.features = ~0ULL;
	return 0;
}

static void expect(unsigned call, unsigned long request, unsigned index, unsigned long value)
{
	assert_true(call < host.count);
	assert_int_equal(host.calls[call].request, request);
	assert_int_equal(host.calls[call].index, index);
	assert_int_equal(host.calls[call].value, value);
}

// -- open --

static void test_open(void **state)
{
	struct net_config config = { .mode = NET_TAP };
	uint64_t features;
	int fd = vhost_open(&config, "/dev/null", &features);

	assert_true(fd >= 0);
	close(fd);
	// The owner first, or nothing else is answered.
	expect(0, VHOST_SET_OWNER, 0, 0);
	expect(1, VHOST_GET_FEATURES, 0, 0);
	// VERSION_1, EVENT_IDX, INDIRECT_DESC, MRG_RXBUF: no packed rings, no log, no header.
	assert_int_equal(features, 1ULL << 32 | 1ULL << 29 | 1ULL << 28 | 1ULL << 15);
	host.features = VERSION_1;
	fd = vhost_open(&config, "/dev/null", &features);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(features, VERSION_1);
}

static void test_open_fails(void **state)
{
	struct net_config config = { .mode = NET_TAP };
	uint64_t features;

	assert_int_equal(vhost_open(&config, "/dev/null/none", &features), -ENOTDIR);
	assert_int_equal(vhost_open(&config, "/dev/no-vhost", &features), -ENOENT);
	host.failing = VHOST_SET_OWNER;
	assert_int_equal(vhost_open(&config, "/dev/null", &features), -EFAULT);
	host.failing = 0;
	host.features = ~VERSION_1;
	assert_int_equal(vhost_open(&config, "/dev/null", &features), -ENOTSUP);
}

// -- rings --

static void test_set_up(void **state)
{
	static uint8_t low[16], high[16];
	struct memory mem = {
		.banks = { { .base_gpa = 0x1000, .size_bytes = 0x2000, .host = low },
			   { .base_gpa = 1ULL << 32, .size_bytes = 0x4000, .host = high } },
		.bank_count = 2,
	};

	assert_int_equal(vhost_set_up(VHOST_FD, &mem, VERSION_1), 0);
	assert_int_equal(host.features_set, VERSION_1);
	assert_int_equal(host.region_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(host.regions[i].guest_phys_addr, mem.banks[i].base_gpa);
		assert_int_equal(host.regions[i].memory_size, mem.banks[i].size_bytes);
		assert_int_equal(host.regions[i].userspace_addr, (uintptr_t)mem.banks[i].host);
	}
	host.failing = VHOST_SET_MEM_TABLE;
	assert_int_equal(vhost_set_up(VHOST_FD, &mem, VERSION_1), -EFAULT);
	host.failing = VHOST_SET_FEATURES;
	assert_int_equal(vhost_set_up(VHOST_FD, &mem, VERSION_1), -EFAULT);
}

static uint8_t desc[16], avail[16], used[16];

static struct net_ring make_ring(void)
{
	return (struct net_ring){
		.size = 64,
		.next_avail = 65000,
		.desc = desc,
		.avail = avail,
		.used = used,
		.kick_fd = 11,
		.call_fd = 12,
		.error_fd = 13,
	};
}

static void test_start(void **state)
{
	struct net_ring ring = make_ring();

	assert_int_equal(vhost_start_ring(VHOST_FD, VHOST_SEND, &ring, TAP_FD), 0);
	assert_int_equal(host.count, 7);
	expect(0, VHOST_SET_VRING_NUM, 1, 64);
	expect(1, VHOST_SET_VRING_BASE, 1, 65000);
	expect(2, VHOST_SET_VRING_ADDR, 1, 0);
	expect(3, VHOST_SET_VRING_CALL, 1, 12);
	expect(4, VHOST_SET_VRING_ERR, 1, 13);
	expect(5, VHOST_SET_VRING_KICK, 1, 11);
	expect(6, VHOST_NET_SET_BACKEND, 1, TAP_FD);
	assert_int_equal(host.address.flags, 0);
	assert_int_equal(host.address.desc_user_addr, (uintptr_t)desc);
	assert_int_equal(host.address.avail_user_addr, (uintptr_t)avail);
	assert_int_equal(host.address.used_user_addr, (uintptr_t)used);
}

// Whatever is refused, the ring does not run.
static void test_start_fails(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_VRING_NUM,   VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_CALL,  VHOST_SET_VRING_ERR,  VHOST_SET_VRING_KICK,
		VHOST_NET_SET_BACKEND,
	};
	struct net_ring ring = make_ring();

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		host.count = 0;
		host.failing = requests[i];
		assert_int_equal(vhost_start_ring(VHOST_FD, VHOST_RECEIVE, &ring, TAP_FD), -EFAULT);
		assert_int_equal(host.count, i);
	}
}

static void test_stop(void **state)
{
	struct net_ring ring = make_ring();

	host.avail_base = 7;
	assert_int_equal(vhost_stop_ring(VHOST_FD, VHOST_RECEIVE, &ring), 0);
	assert_int_equal(host.count, 2);
	expect(0, VHOST_NET_SET_BACKEND, 0, UINT32_MAX);
	expect(1, VHOST_GET_VRING_BASE, 0, 0);
	assert_int_equal(ring.next_avail, 7);
	host.failing = VHOST_GET_VRING_BASE;
	assert_int_equal(vhost_stop_ring(VHOST_FD, VHOST_RECEIVE, &ring), -EFAULT);
	host.failing = VHOST_NET_SET_BACKEND;
	assert_int_equal(vhost_stop_ring(VHOST_FD, VHOST_RECEIVE, &ring), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_open, setup),
		cmocka_unit_test_setup(test_open_fails, setup),
		cmocka_unit_test_setup(test_set_up, setup),
		cmocka_unit_test_setup(test_start, setup),
		cmocka_unit_test_setup(test_start_fails, setup),
		cmocka_unit_test_setup(test_stop, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
