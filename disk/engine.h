// SPDX-License-Identifier: GPL-2.0-or-later
// Ways to have the host transfer data without waiting for it: an engine for each queue of
// a raw disk. All calls on the queue's loop's thread.
#ifndef KVIK_DISK_ENGINE_H
#define KVIK_DISK_ENGINE_H

#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "file.h"
#include "util.h"

struct loop;

#define ENGINE_DEPTH 128 // operations in flight

enum engine_call { ENGINE_READ, ENGINE_WRITE, ENGINE_SYNC };

// One call of the host's. The caller's storage, the engine's from submit to reap.
struct engine_op {
	enum engine_call call;
	int fd;
	const struct iovec *iov; // at most IOV_MAX
	unsigned iov_count;
	uint64_t offset;
	uint64_t len_bytes; // of all iovecs
	long result;        // bytes, which may be fewer, or -errno
	struct engine_op *next;
	union { // the engine's own
		struct iocb iocb;
		uint64_t ns;
	};
};

// By their next; the tail counts while there is a head.
struct engine_list {
	struct engine_op *head, *tail;
};

static inline void engine_list_append(struct engine_list *list, struct engine_op *op)
{
	op->next = NULL;
	if (list->head)
		list->tail->next = op;
	else
		list->head = op;
	list->tail = op;
}

// There is one.
static inline struct engine_op *engine_list_pop(struct engine_list *list)
{
	struct engine_op *op = list->head;

	list->head = op->next;
	return op;
}

struct engine {
	const struct engine_ops *ops;
	struct loop *loop;
	unsigned in_flight;
	void (*ready)(struct engine *engine); // there is something to reap
	void *opaque;                         // the user's
};

struct engine_ops {
	const char *name; // as in aio=
	// Returns 0 or -errno. @quiet: where the host has no such engine, without a message.
	int (*create)(struct engine **engine, const struct disk_file *file, struct loop *loop,
		      bool quiet);
	void (*free)(struct engine *engine); // nothing in flight
	// Takes from the head of the list *@ops as many as it can, at least one; or returns
	// -errno for the first. -EAGAIN: no resources, until something is reaped.
	int (*submit)(struct engine *engine, struct engine_op **ops);
	// Returns a list of operations that have ended, NULL: none. With @wait it waits for one,
	// if any is in flight.
	struct engine_op *(*reap)(struct engine *engine, bool wait);
};

// Reads and writes of the page cache at once, and threads for all that would wait.
extern const struct engine_ops engine_threads;
// The kernel's asynchronous I/O, which is so for direct I/O only.
extern const struct engine_ops engine_native;
#ifdef HAVE_URING
extern const struct engine_ops engine_uring;
#endif

#endif
