// SPDX-License-Identifier: GPL-2.0-or-later
// Raw disks: requests on a file or block device, by the kernel's asynchronous I/O.
//
// A request waits until it is kicked and a free operation is at hand; the operation
// is ready until io_submit() takes it, and in flight until its completion was
// fetched. A short transfer makes its operation ready once more, for the rest:
//
//	disk_submit       start_waiting       submit_ready         reap
//	-----> waiting ------------> ready ------------> in flight ----> done()
//	                               ^-------- short --------|
//
// The kernel tells of completions by an eventfd; for a file that is not opened for
// direct I/O they are mostly there when io_submit() returns, so they are fetched
// then, too. The eventfd is watched edge-triggered, which saves reading it.

#include "disk.h"

#include <assert.h>
#include <errno.h>
#include <libaio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "iov.h"
#include "log.h"
#include "loop.h"

#define RAW_DEPTH 128 // operations in flight; counts against fs.aio-max-nr
#define WINDOW_MAX 16 // buffers of a follow-up transfer
#define ZEROES_BYTES (64 * KIB)
#define NOT_AT_ONCE 1 // not an errno

struct raw_op {
	struct iocb iocb;
	struct disk_request *request;
	uint64_t done_bytes;
	struct iovec window[WINDOW_MAX]; // what is left after a short transfer
	struct raw_op *next;             // free or ready
};

struct disk {
	struct disk_file file;
	struct loop *loop; // NULL: detached
	struct disk_events events;
	io_context_t aio;
	struct loop_fd completed;
	struct disk_request *waiting_head, *waiting_tail;
	struct raw_op *ready_head, *ready_tail;
	struct raw_op *free_ops;
	unsigned in_flight;
	bool unannounced; // done() was called since the last batch_done()
	void *zeroes;     // never written, so it costs no memory
	struct log_ratelimit error_limit;
	struct raw_op ops[RAW_DEPTH];
};

// -- the end of a request --

static void log_error(struct disk *disk, const struct disk_request *request, int error)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write zeroes" };

	static_assert(ARRAY_SIZE(names) == DISK_OP_COUNT, "a name for each operation");
	if (error == -EOPNOTSUPP || !log_ratelimit_ok(&disk->error_limit))
		return;
	if (request->op == DISK_FLUSH)
		warn("disk %s: flush: %s", disk->file.path, strerror(-error));
	else
		warn("disk %s: %s of %llu bytes at %llu: %s", disk->file.path, names[request->op],
		     (unsigned long long)request->len_bytes,
		     (unsigned long long)request->offset_bytes, strerror(-error));
}

static void complete(struct disk *disk, struct disk_request *request, int error)
{
	disk->unannounced = true;
	request->done(request, error);
}

static void complete_by_host(struct disk *disk, struct disk_request *request, int error)
{
	if (error)
		log_error(disk, request, error);
	complete(disk, request, error);
}

// -- operations --

static struct raw_op *take_op(struct disk *disk)
{
	struct raw_op *op = disk->free_ops;

	if (op)
		disk->free_ops = op->next;
	return op;
}

static void release_op(struct disk *disk, struct raw_op *op)
{
	op->next = disk->free_ops;
	disk->free_ops = op;
}

static void append_ready(struct disk *disk, struct raw_op *op)
{
	op->next = NULL;
	if (disk->ready_head)
		disk->ready_tail->next = op;
	else
		disk->ready_head = op;
	disk->ready_tail = op;
}

static unsigned fill_window(const struct disk *disk, struct raw_op *op)
{
	const struct disk_request *request = op->request;
	uint64_t left = request->len_bytes - op->done_bytes;
	unsigned n = 0;

	if (request->op != DISK_WRITE_ZEROES)
		return iov_slice(op->window, WINDOW_MAX, request->iov, request->iov_count,
				 op->done_bytes, left);
	for (; n < WINDOW_MAX && left; n++) {
		op->window[n].iov_base = disk->zeroes;
		op->window[n].iov_len = MIN(left, (uint64_t)ZEROES_BYTES);
		left -= op->window[n].iov_len;
	}
	return n;
}

static void prepare_transfer(struct disk *disk, struct raw_op *op)
{
	const struct disk_request *request = op->request;
	uint64_t offset = request->offset_bytes + op->done_bytes;
	const struct iovec *iov = request->iov;
	unsigned count = request->iov_count;

	if (op->done_bytes || request->op == DISK_WRITE_ZEROES || count > IOV_MAX) {
		count = fill_window(disk, op);
		iov = op->window;
	}
	if (request->op == DISK_READ)
		io_prep_preadv(&op->iocb, disk->file.fd, iov, count, offset);
	else
		io_prep_pwritev(&op->iocb, disk->file.fd, iov, count, offset);
}

static void make_ready(struct disk *disk, struct raw_op *op)
{
	if (op->request->op == DISK_FLUSH)
		io_prep_fdsync(&op->iocb, disk->file.fd);
	else
		prepare_transfer(disk, op);
	io_set_eventfd(&op->iocb, disk->completed.fd);
	op->iocb.data = op;
	append_ready(disk, op);
}

// @result is the host's: bytes or -errno. A transfer of 0 bytes met the end of the
// file, which somebody made shorter: never zeroes that nobody wrote.
static int judge(struct disk *disk, const struct disk_request *request, long result)
{
	if (request->op != DISK_FLUSH)
		return result ? MIN(result, 0) : -EIO;
	// Where a file system cannot do it asynchronously.
	if (result == -EINVAL)
		return fdatasync(disk->file.fd) ? -errno : 0;
	return result;
}

static void end_op(struct disk *disk, struct raw_op *op, long result)
{
	struct disk_request *request = op->request;
	int error = judge(disk, request, result);

	if (!error && request->op != DISK_FLUSH) {
		op->done_bytes += result;
		if (op->done_bytes < request->len_bytes) {
			make_ready(disk, op);
			return;
		}
	}
	release_op(disk, op);
	complete_by_host(disk, request, error);
}

// -- from waiting to in flight --

// Requests for which there is no asynchronous call.
static int try_at_once(struct disk *disk, const struct disk_request *request)
{
	int error;

	if (request->op == DISK_DISCARD)
		return disk_file_discard(&disk->file, request->offset_bytes, request->len_bytes);
	if (request->op != DISK_WRITE_ZEROES)
		return NOT_AT_ONCE;
	error = disk_file_zero(&disk->file, request->offset_bytes, request->len_bytes,
			       request->unmap);
	return error == -EOPNOTSUPP ? NOT_AT_ONCE : error;
}

static void pop_waiting(struct disk *disk)
{
	disk->waiting_head = disk->waiting_head->next;
}

// Returns false when the request must wait longer, and those behind it with it.
static bool start_request(struct disk *disk, struct disk_request *request)
{
	bool bounce = disk_file_needs_bounce(&disk->file, request);
	int result = try_at_once(disk, request);
	struct raw_op *op;

	if (result == NOT_AT_ONCE && bounce) {
		if (disk->in_flight || disk->ready_head)
			return false;
		result = disk_file_bounce(&disk->file, request);
	}
	if (result != NOT_AT_ONCE) {
		pop_waiting(disk);
		complete_by_host(disk, request, result);
		return true;
	}
	op = take_op(disk);
	if (!op)
		return false;
	pop_waiting(disk);
	op->request = request;
	op->done_bytes = 0;
	make_ready(disk, op);
	return true;
}

static void start_waiting(struct disk *disk)
{
	while (disk->waiting_head && start_request(disk, disk->waiting_head))
		;
}

static struct raw_op *pop_ready(struct disk *disk)
{
	struct raw_op *op = disk->ready_head;

	disk->ready_head = op->next;
	return op;
}

static void submit_ready(struct disk *disk)
{
	while (disk->ready_head) {
		struct iocb *batch[RAW_DEPTH];
		int count = 0, taken;

		for (struct raw_op *op = disk->ready_head; op; op = op->next)
			batch[count++] = &op->iocb;
		taken = io_submit(disk->aio, count, batch);
		// Short of resources: the next completion gives some back.
		if (taken == -EAGAIN && disk->in_flight)
			return;
		if (taken <= 0)
			end_op(disk, pop_ready(disk), taken ? taken : -EAGAIN);
		for (int i = 0; i < taken; i++) {
			pop_ready(disk);
			disk->in_flight++;
		}
	}
}

// -- completions --

// Returns how many it fetched; with @wait at least one if any is in flight.
static int reap(struct disk *disk, bool wait)
{
	struct io_event events[RAW_DEPTH];
	struct timespec at_once = { 0 };
	int count;

	if (!disk->in_flight)
		return 0;
	count = io_getevents(disk->aio, wait, RAW_DEPTH, events, wait ? NULL : &at_once);
	for (int i = 0; i < count; i++) {
		disk->in_flight--;
		end_op(disk, events[i].data, (long)events[i].res);
	}
	return MAX(count, 0);
}

static bool is_busy(const struct disk *disk)
{
	return disk->waiting_head || disk->ready_head || disk->in_flight;
}

static void announce(struct disk *disk)
{
	bool any = disk->unannounced;

	disk->unannounced = false;
	if (any && disk->events.batch_done)
		disk->events.batch_done(disk->events.opaque);
}

// Moves everything on as far as it goes; with @wait to the end.
static void advance(struct disk *disk, bool wait)
{
	int fetched;

	do {
		start_waiting(disk);
		submit_ready(disk);
		fetched = reap(disk, wait);
	} while (fetched || (wait && is_busy(disk)));
	announce(disk);
}

static void on_completed(struct loop_fd *self, uint32_t epoll_events)
{
	advance(container_of(self, struct disk, completed), false);
}

// -- requests --

static int check_request(const struct disk *disk, const struct disk_request *request)
{
	uint64_t size_bytes = disk->file.info.size_bytes;

	if (request->op == DISK_FLUSH)
		return 0;
	if (request->op != DISK_READ && disk->file.info.read_only)
		return -EROFS;
	if (!request->len_bytes || request->offset_bytes > size_bytes ||
	    request->len_bytes > size_bytes - request->offset_bytes)
		return -EINVAL;
	return 0;
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	int error = check_request(disk, request);

	if (error) {
		complete(disk, request, error);
		return;
	}
	request->next = NULL;
	if (disk->waiting_head)
		disk->waiting_tail->next = request;
	else
		disk->waiting_head = request;
	disk->waiting_tail = request;
}

void disk_kick(struct disk *disk)
{
	advance(disk, false);
}

void disk_drain(struct disk *disk)
{
	advance(disk, true);
}

// -- life --

int disk_open(struct disk **disk, const struct disk_config *config)
{
	struct disk *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return fail(ENOMEM, "disk");
	ret = disk_file_open(&new->file, config);
	if (ret) {
		free(new);
		return ret;
	}
	new->completed.fd = -1;
	*disk = new;
	return 0;
}

const struct disk_info *disk_info(const struct disk *disk)
{
	return &disk->file.info;
}

static int set_up_aio(struct disk *disk)
{
	int ret = io_setup(RAW_DEPTH, &disk->aio);

	if (!ret)
		return 0;
	disk->aio = NULL;
	if (ret == -EAGAIN)
		return fail_msg(EAGAIN,
				"disk %s: the host has no more asynchronous I/O to give; "
				"raise its limit: sysctl fs.aio-max-nr=1048576",
				disk->file.path);
	return fail(-ret, "disk %s: set up asynchronous I/O", disk->file.path);
}

static int watch_completions(struct disk *disk)
{
	disk->completed.ready = on_completed;
	disk->completed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (disk->completed.fd < 0)
		return fail(errno, "disk %s: create an eventfd", disk->file.path);
	return loop_add_fd(disk->loop, &disk->completed, EPOLLIN | EPOLLET);
}

static int map_zeroes(struct disk *disk)
{
	disk->zeroes = mmap(NULL, ZEROES_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disk->zeroes != MAP_FAILED)
		return 0;
	disk->zeroes = NULL;
	return fail(errno, "disk %s: map memory", disk->file.path);
}

static void tear_down(struct disk *disk)
{
	if (disk->zeroes)
		munmap(disk->zeroes, ZEROES_BYTES);
	if (disk->aio)
		io_destroy(disk->aio);
	if (disk->completed.fd >= 0)
		close(disk->completed.fd);
	disk->zeroes = NULL;
	disk->aio = NULL;
	disk->completed.fd = -1;
	disk->loop = NULL;
}

int disk_attach(struct disk *disk, struct loop *loop, struct disk_events events)
{
	int ret;

	disk->loop = loop;
	disk->events = events;
	disk->free_ops = NULL;
	for (unsigned i = 0; i < RAW_DEPTH; i++)
		release_op(disk, &disk->ops[i]);
	ret = set_up_aio(disk);
	if (!ret)
		ret = map_zeroes(disk);
	if (!ret)
		ret = watch_completions(disk);
	if (ret)
		tear_down(disk);
	return ret;
}

void disk_detach(struct disk *disk)
{
	disk_drain(disk);
	loop_remove_fd(disk->loop, &disk->completed);
	tear_down(disk);
}

void disk_close(struct disk *disk)
{
	disk_file_close(&disk->file);
	free(disk);
}
