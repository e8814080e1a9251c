// SPDX-License-Identifier: GPL-2.0-or-later
// Disk images on the host: asynchronous requests on a raw file or block device, or on an
// image in it.
//
// A queue of a disk belongs to one loop: submit and kick on its thread, completions run
// on it. Every request completes exactly once, with 0 or -errno. Never sees a virtqueue.
#ifndef KVIK_DISK_H
#define KVIK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util.h"

struct disk;
struct disk_config;
struct disk_queue;
struct io_totals;
struct loop;

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES, DISK_OP_COUNT };

// Caller's storage, unchanged by the caller until done() was called.
struct disk_request {
	enum disk_op op;
	uint64_t offset_bytes;
	uint64_t len_bytes; // for read and write: the sum of the iovecs
	const struct iovec *iov;
	unsigned iov_count;
	bool unmap; // DISK_WRITE_ZEROES: may deallocate
	// @error 0 or -errno. All bytes were transferred when it is 0. May submit.
	void (*done)(struct disk_request *request, int error);
	// The disk's own.
	struct disk_request *next;
	uint64_t start_ns;
	bool stopped;
};

struct disk_info {
	uint64_t size_bytes;  // a multiple of 512: a file's partial last sector is left out
	uint32_t block_bytes; // logical block size
	uint32_t physical_block_bytes;
	uint32_t optimal_io_bytes; // 0: unknown
	bool read_only;
	bool can_discard;
	unsigned queues_max; // how often it may be attached, at least 1
	unsigned queues;     // how many its user asked for, at least 1
	char id[20 + 1];     // made from the path: the same whenever that is opened
};

// What the disk tells its user.
struct disk_events {
	// After the done() calls of one round of completions; may be NULL.
	void (*batch_done)(void *opaque);
	void *opaque;
};

// Opens @config->path and checks what it is: a regular file or block device, with an
// image of the format asked for. Returns 0 or -errno after a message. Main thread.
int disk_open(struct disk **disk, const struct disk_config *config) MUST_CHECK;
const struct disk_info *disk_info(const struct disk *disk);

// Makes a queue of the disk on @loop, before its first submit; loop thread or loop not
// running, and one attach or detach of a disk at a time. disk_detach() waits for requests
// in flight (their done() runs).
int disk_attach(struct disk *disk, struct loop *loop, struct disk_events events,
		struct disk_queue **queue) MUST_CHECK;
void disk_detach(struct disk_queue *queue);
// Waits until none of the queue's requests is in flight; completions have run. Loop thread.
void disk_drain(struct disk_queue *queue);

// Queues a request; disk_kick() starts all that were queued, with one call of the
// host's. Results arrive by done(), possibly before these return. A range beyond the
// end is -EINVAL, a write to a read-only disk -EROFS, what the host cannot do
// -EOPNOTSUPP. No kick is needed for what done() submits in a round of completions.
void disk_submit(struct disk_queue *queue, struct disk_request *request);
void disk_kick(struct disk_queue *queue);

// Adds what the disk did so far. Any thread.
void disk_stats(const struct disk *disk, struct io_totals *totals);

// Detached only. Flushes nothing: a guest's flush is the guest's business.
void disk_close(struct disk *disk);

#endif
