// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the ring walker: whatever the rings hold, a chain lies in RAM, its parts add
// up, and it ends.
//
// The input's first bytes choose size, features, the kind of ring and the rings'
// addresses; the rest is laid over guest memory in rounds, each followed by pops, some
// of which are undone, and pushes, one by one or all at once.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../virtio/ring.h"
#include "memory.h"
#include "virtio.h"
#include "virtqueue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_GPA 0x80000000ULL
#define RAM_BYTES (64 * KIB)
#define SIZE_MAX_LOG2 8
#define ROUND_BYTES 512

static struct memory memory;
static unsigned byte_sum;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_buffer(const struct iovec *iov, uint64_t gpa)
{
	const uint8_t *data = iov->iov_base;

	require(data && iov->iov_len);
	require(memory_ptr(&memory, gpa, iov->iov_len) == data);
	byte_sum += data[0] + data[iov->iov_len - 1];
}

static void check_chain(const struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	require(chain->head < vq->size && vq->in_use && vq->in_use <= vq->size);
	require(chain->out_count + chain->in_count <= vq->size);
	for (unsigned i = 0; i < chain->out_count; i++)
		check_buffer(&chain->out[i], chain->out_gpa[i]);
	for (unsigned i = 0; i < chain->in_count; i++)
		check_buffer(&chain->in[i], chain->in_gpa[i]);
	require(iov_total(chain->out, chain->out_count) == chain->out_bytes);
	require(iov_total(chain->in, chain->in_count) == chain->in_bytes);
}

// How chains are taken and given back; bits of the input.
enum { KEEP = 4, AT_ONCE = 32, UNDO = 64, GATHER = 128 };

static void give_back(struct virtqueue *vq, const struct virtqueue_chain *chain, unsigned how)
{
	virtqueue_mark_written(vq, chain->in, chain->in_gpa, chain->in_count, UINT64_MAX);
	if (how & AT_ONCE)
		virtqueue_fill(vq, chain->head, chain->in_bytes);
	else
		virtqueue_push(vq, chain->head, chain->in_bytes);
}

// A chain that is popped again is the same one: nobody changed it meanwhile.
static int pop_again(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct virtqueue_chain before = *chain;
	int got;

	virtqueue_unpop(vq, chain);
	got = virtqueue_pop_more(vq, chain);
	require(got == 1);
	require(chain->head == before.head && chain->out == before.out &&
		chain->out_count == before.out_count && chain->in_count == before.in_count &&
		chain->out_bytes == before.out_bytes && chain->in_bytes == before.in_bytes);
	return got;
}

static void drain(struct virtqueue *vq, unsigned how)
{
	struct virtqueue_chain chain;
	int got = 1;

	virtqueue_disable_notify(vq);
	for (unsigned i = 0; i < 2u * vq->size && got > 0; i++) {
		got = how & GATHER && i % 3 ? virtqueue_pop_more(vq, &chain) :
					      virtqueue_pop(vq, &chain);
		if (got > 0 && how & UNDO)
			got = pop_again(vq, &chain);
		if (got <= 0)
			break;
		check_chain(vq, &chain);
		if (!(how & KEEP))
			give_back(vq, &chain, how);
	}
	require((got < 0) == vq->broken);
	require(!vq->broken || vq->why_broken);
	require(vq->in_use <= vq->size);
	virtqueue_flush(vq);
	virtqueue_should_interrupt(vq);
	virtqueue_enable_notify(vq);
}

static void on_written(void *opaque, uint64_t gpa, uint64_t len)
{
	require(memory_ptr(&memory, gpa, len));
}

static void set_up_memory(void)
{
	if (memory.bank_count) {
		memset(memory_ptr(&memory, RAM_GPA, 1), 0, RAM_BYTES);
		return;
	}
	memory_init(&memory);
	require(!memory_add_ram(&memory, RAM_GPA, RAM_BYTES));
	memory.written = on_written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtqueue vq = { .size_max = 1 << SIZE_MAX_LOG2 };
	uint64_t features = 0;

	if (size < 8)
		return 0;
	set_up_memory();
	vq.size = 1u << data[0] % (SIZE_MAX_LOG2 + 1);
	if (data[5] & 8)
		vq.size = 1 + data[0];
	vq.desc_gpa = RAM_GPA;
	vq.avail_gpa = RAM_GPA + 16 * (data[1] | data[2] << 8);
	vq.used_gpa = RAM_GPA + 16 * (data[3] | data[4] << 8);
	if (data[5] & 1)
		features |= VIRTIO_F_EVENT_IDX;
	if (data[5] & 2)
		features |= VIRTIO_F_INDIRECT_DESC;
	if (data[5] & 8)
		features |= VIRTIO_F_RING_PACKED;
	if (virtqueue_start(&vq, &memory, features))
		return 0;
	for (size_t at = 8; at < size; at += ROUND_BYTES) {
		size_t len = MIN(size - at, (size_t)ROUND_BYTES);
		uint16_t target = data[at] << 8;

		memcpy(memory_ptr(&memory, RAM_GPA + target % (RAM_BYTES - ROUND_BYTES), len),
		       data + at, len);
		drain(&vq, data[5]);
	}
	virtqueue_stop(&vq);
	return 0;
}
