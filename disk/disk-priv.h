// SPDX-License-Identifier: GPL-2.0-or-later
// What a disk format supplies, and what disk.c does for it.
//
// A format embeds struct disk and struct disk_queue first in its own. It may stand on a
// raw disk, its file: then it attaches that to the same loop and submits to its queue as
// any user of a disk does.
#ifndef KVIK_DISK_PRIV_H
#define KVIK_DISK_PRIV_H

#include "disk.h"
#include "io-stats.h"
#include "log.h"
#include "loop.h"
#include "rate-limit.h"
#include "vm-config.h"

#define DISK_QUEUES_MAX 8

struct disk_ops {
	const char *name; // "raw"
	// Makes a queue on @loop; disk.c fills in the common part after it. Returns 0 or
	// -errno after a message.
	int (*attach)(struct disk *disk, struct loop *loop, struct disk_queue **queue);
	void (*detach)(struct disk_queue *queue); // drained; frees the queue
	// The range was checked. Ends by disk_complete(), possibly at once.
	void (*submit)(struct disk_queue *queue, struct disk_request *request);
	// Start what was submitted; to the end of all requests. Both end by
	// disk_announce(), and so does every other round of completions.
	void (*kick)(struct disk_queue *queue);
	void (*drain)(struct disk_queue *queue);
	// How many bytes from @offset on are known to read as zeroes. No writes under way.
	uint64_t (*zeroes)(struct disk *disk, uint64_t offset);
	void (*close)(struct disk *disk); // detached; frees the disk
};

struct disk {
	const struct disk_ops *ops;
	const char *path; // the config's, for messages
	struct disk_info info;
	// False for a format's file: the rest of this is for the disk on top of it.
	bool front;
	// A format's file grows when it is written behind its end.
	bool growable;
	bool probed; // nobody said that it is raw, it only looked so
	bool stop_on_read_error;
	bool stop_on_write_error;
	bool limited;
	struct rate_limit limit;
	unsigned attached; // bit n: there is a queue n
	struct io_stats stats[DISK_QUEUES_MAX];
};

// Of requests; by their next.
struct disk_list {
	struct disk_request *head, *tail;
};

static inline void disk_list_append(struct disk_list *list, struct disk_request *request)
{
	request->next = NULL;
	if (list->head)
		list->tail->next = request;
	else
		list->head = request;
	list->tail = request;
}

static inline struct disk_request *disk_list_pop(struct disk_list *list)
{
	struct disk_request *request = list->head;

	if (request)
		list->head = request->next;
	return request;
}

struct disk_queue {
	struct disk *disk;
	struct loop *loop;
	struct disk_events events;
	bool unannounced; // done() was called since the last batch_done()
	struct log_ratelimit error_limit;
	unsigned index;         // among the disk's queues
	struct io_stats *stats; // the disk's
	struct rate_waiter waiter;
	struct disk_list held;    // until the limits allow them
	struct disk_list stopped; // failed, to be tried again by and by
	struct loop_timer retry;
	unsigned stopped_count; // of requests that failed and have not worked since
	bool draining;
};

// The end of a request: calls its done(), now or when it worked at last. Loop thread.
void disk_complete(struct disk_queue *queue, struct disk_request *request, int error);
// After a round of completions: calls batch_done() if there was one.
void disk_announce(struct disk_queue *queue);

// True when a raw disk starts like an image of another format, or cannot be read there.
bool disk_has_magic(struct disk *disk);

// -- raw disks as the files of other formats --

// As disk_open(), but whatever the content and the size: it may be empty or end in a
// partial sector, requests beyond its end are not refused, and a write there makes it
// longer (info.size_bytes stays what it was at the start).
int raw_open(struct disk **disk, const struct disk_config *config) MUST_CHECK;
// Makes it a disk to itself, if its size is one for a disk. Main thread, not attached.
int raw_fix_size(struct disk *disk) MUST_CHECK;
// Synchronous transfers of any alignment, attached or not. All of @len or -errno without
// a message; a read that meets the end of the file is -EIO. Any one thread at a time.
int raw_read(struct disk *disk, void *data, size_t len, uint64_t offset) MUST_CHECK;
int raw_write(struct disk *disk, const void *data, size_t len, uint64_t offset) MUST_CHECK;
int raw_fd(const struct disk *disk); // for fdatasync(), fstat(), ftruncate()

// -- formats: make a disk of the image in @file --

// Takes ownership of @file on success only. Returns 0 or -errno after a message.
typedef int disk_format_open(struct disk **disk, struct disk *file,
			     const struct disk_config *config);

#endif
