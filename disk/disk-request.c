// SPDX-License-Identifier: GPL-2.0-or-later
// The requests of disks of every format: checks, limits, errors and statistics.
//
// The way of a request through the disk in front:
//
//	              too fast: held             an error, =stop: stopped
//	disk_submit -------------> ops->submit ... disk_complete -------> done()
//	                                ^------- a second later ---'
//
// The disks behind it, a format's file, only check.

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "disk-priv.h"
#include "iov.h"

#define RETRY_NS NSEC_PER_SEC

// -- statistics --

static enum io_kind kind_of(const struct disk_request *request)
{
	static const enum io_kind kinds[] = { IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_DISCARD };

	static_assert(ARRAY_SIZE(kinds) == DISK_OP_COUNT, "a kind for each operation");
	return kinds[request->op];
}

static void count(struct disk_queue *queue, const struct disk_request *request, int error)
{
	enum io_kind kind = kind_of(request);
	uint64_t bytes = error || request->op == DISK_FLUSH ? 0 : request->len_bytes;

	io_stats_count(queue->stats, kind, 1, bytes);
	if (error)
		io_stats_error(queue->stats, kind);
	io_stats_latency(queue->stats, kind, clock_monotonic_ns() - request->start_ns);
}

void disk_stats(const struct disk *disk, struct io_totals *totals)
{
	for (unsigned i = 0; i < ARRAY_SIZE(disk->stats); i++)
		io_totals_add(totals, &disk->stats[i]);
}

// -- the start of a request --

static int check_request(const struct disk *disk, const struct disk_request *request)
{
	uint64_t size_bytes = disk->growable ? INT64_MAX : disk->info.size_bytes;

	if (request->op == DISK_FLUSH)
		return 0;
	if (request->op != DISK_READ && disk->info.read_only)
		return -EROFS;
	if (!request->len_bytes || request->offset_bytes > size_bytes ||
	    request->len_bytes > size_bytes - request->offset_bytes)
		return -EINVAL;
	return 0;
}

static void finish(struct disk_queue *queue, struct disk_request *request, int error)
{
	if (queue->disk->front)
		count(queue, request, error);
	queue->unannounced = true;
	request->done(request, error);
}

static bool may_start(struct disk_queue *queue, const struct disk_request *request)
{
	bool transfers = request->op == DISK_READ || request->op == DISK_WRITE;

	return queue->draining ||
	       rate_waiter_take(&queue->waiter, transfers ? request->len_bytes : 0);
}

static void submit_to_front(struct disk_queue *queue, struct disk_request *request)
{
	request->start_ns = clock_monotonic_ns();
	request->stopped = false;
	if (queue->held.head || !may_start(queue, request))
		disk_list_append(&queue->held, request);
	else
		queue->disk->ops->submit(queue, request);
}

void disk_submit(struct disk_queue *queue, struct disk_request *request)
{
	int error = check_request(queue->disk, request);

	if (error) {
		queue->unannounced = true;
		request->done(request, error);
	} else if (queue->disk->front) {
		submit_to_front(queue, request);
	} else {
		queue->disk->ops->submit(queue, request);
	}
}

void disk_kick(struct disk_queue *queue)
{
	queue->disk->ops->kick(queue);
}

static void start_held(struct rate_waiter *waiter)
{
	struct disk_queue *queue = container_of(waiter, struct disk_queue, waiter);

	while (queue->held.head && may_start(queue, queue->held.head))
		queue->disk->ops->submit(queue, disk_list_pop(&queue->held));
	disk_kick(queue);
}

// -- errors --

static void log_error(struct disk_queue *queue, const struct disk_request *request, int error,
		      const char *what_then)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write zeroes" };
	const char *path = queue->disk->path;

	static_assert(ARRAY_SIZE(names) == DISK_OP_COUNT, "a name for each operation");
	if (error == -EOPNOTSUPP || !log_ratelimit_ok(&queue->error_limit))
		return;
	if (request->op == DISK_FLUSH)
		warn("disk %s: flush: %s", path, strerror(-error));
	else
		warn("disk %s: %s of %llu bytes at %llu: %s%s", path, names[request->op],
		     (unsigned long long)request->len_bytes,
		     (unsigned long long)request->offset_bytes, strerror(-error), what_then);
}

// A flush is never tried again: the host forgets what it could not write once it has said
// so, and the next one would succeed.
static bool shall_stop(const struct disk_queue *queue, const struct disk_request *request,
		       int error)
{
	const struct disk *disk = queue->disk;

	if (queue->draining || error == -EOPNOTSUPP || error == -EPERM || request->op == DISK_FLUSH)
		return false;
	return request->op == DISK_READ ? disk->stop_on_read_error : disk->stop_on_write_error;
}

static void stop(struct disk_queue *queue, struct disk_request *request, int error)
{
	if (!request->stopped) {
		request->stopped = true;
		queue->stopped_count++;
		log_error(queue, request, error, "; the guest waits, until it works");
	}
	disk_list_append(&queue->stopped, request);
	loop_arm_timer(queue->loop, &queue->retry, clock_monotonic_ns() + RETRY_NS);
}

static void restart(struct disk_queue *queue)
{
	struct disk_list stopped = queue->stopped;
	struct disk_request *request;

	queue->stopped = (struct disk_list){ 0 };
	while ((request = disk_list_pop(&stopped)))
		queue->disk->ops->submit(queue, request);
}

static void try_again(struct loop_timer *timer)
{
	struct disk_queue *queue = container_of(timer, struct disk_queue, retry);

	restart(queue);
	disk_kick(queue);
}

static void note_progress(struct disk_queue *queue, const struct disk_request *request)
{
	if (request->stopped && !--queue->stopped_count && !queue->draining)
		info("disk %s: works again", queue->disk->path);
}

// An image whose format was found by its content must not become one of another format:
// that could name files of the host's. The guest's buffer may have changed since it was
// written, so the file is asked.
static int check_start(struct disk_queue *queue, const struct disk_request *request)
{
	struct disk *disk = queue->disk;
	char nothing[4] = { 0 };

	if (!disk->probed || request->op != DISK_WRITE || request->offset_bytes >= sizeof(nothing))
		return 0;
	if (!disk_has_magic(disk))
		return 0;
	warn("disk %s: the guest wrote the start of a qcow2 image, which is not kept; with "
	     ",format=raw it may",
	     disk->path);
	return raw_write(disk, nothing, sizeof(nothing), 0) ? -EIO : -EPERM;
}

static void complete_front(struct disk_queue *queue, struct disk_request *request, int error)
{
	int refused = check_start(queue, request); // a write that failed may have begun well

	if (refused)
		error = refused;
	if (error && shall_stop(queue, request, error)) {
		stop(queue, request, error);
		return;
	}
	if (error)
		log_error(queue, request, error, "");
	note_progress(queue, request);
	finish(queue, request, error);
}

// -- the end of a request --

void disk_complete(struct disk_queue *queue, struct disk_request *request, int error)
{
	if (queue->disk->front)
		complete_front(queue, request, error);
	else
		finish(queue, request, error);
}

void disk_announce(struct disk_queue *queue)
{
	bool any = queue->unannounced;

	queue->unannounced = false;
	if (any && queue->events.batch_done)
		queue->events.batch_done(queue->events.opaque);
}

// Nothing is held back meanwhile, and what fails now has failed.
void disk_drain(struct disk_queue *queue)
{
	struct disk_request *request;

	queue->draining = true;
	while ((request = disk_list_pop(&queue->held)))
		queue->disk->ops->submit(queue, request);
	loop_disarm_timer(queue->loop, &queue->retry);
	restart(queue);
	queue->disk->ops->drain(queue);
	queue->draining = false;
}

// -- queues --

static unsigned take_index(struct disk *disk)
{
	unsigned i = (unsigned)__builtin_ctz(~disk->attached);

	disk->attached |= 1u << i;
	return i;
}

int disk_attach(struct disk *disk, struct loop *loop, struct disk_events events,
		struct disk_queue **queue)
{
	int ret = disk->ops->attach(disk, loop, queue);
	struct disk_queue *new = *queue;

	if (ret)
		return ret;
	new->disk = disk;
	new->loop = loop;
	new->events = events;
	new->index = take_index(disk);
	new->stats = &disk->stats[new->index];
	new->retry.expired = try_again;
	rate_waiter_init(&new->waiter, disk->front && disk->limited ? &disk->limit : NULL, loop,
			 start_held);
	return 0;
}

void disk_detach(struct disk_queue *queue)
{
	disk_drain(queue);
	rate_waiter_exit(&queue->waiter);
	queue->disk->attached &= ~(1u << queue->index);
	queue->disk->ops->detach(queue);
}
