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

#include <errno.h>
#include <libaio.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk-priv.h"
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

struct raw_disk {
	struct disk disk;
	struct disk_file file;
};

struct raw_queue {
	struct disk_queue queue;
	struct disk_file *file; // the disk's
	io_context_t aio;
	struct loop *loop;
	struct loop_fd completed;
	struct disk_request *waiting_head, *waiting_tail;
	struct raw_op *ready_head, *ready_tail;
	struct raw_op *free_ops;
	unsigned in_flight;
	void *zeroes; // never written, so it costs no memory
	struct raw_op ops[RAW_DEPTH];
};

static struct raw_disk *to_raw(const struct disk *disk)
{
	return container_of(disk, struct raw_disk, disk);
}

static struct raw_queue *to_raw_queue(struct disk_queue *queue)
{
	return container_of(queue, struct raw_queue, queue);
}

// -- operations --

static struct raw_op *take_op(struct raw_queue *queue)
{
	struct raw_op *op = queue->free_ops;

	if (op)
		queue->free_ops = op->next;
	return op;
}

static void release_op(struct raw_queue *queue, struct raw_op *op)
{
	op->next = queue->free_ops;
	queue->free_ops = op;
}

static void append_ready(struct raw_queue *queue, struct raw_op *op)
{
	op->next = NULL;
	if (queue->ready_head)
		queue->ready_tail->next = op;
	else
		queue->ready_head = op;
	queue->ready_tail = op;
}

static unsigned fill_window(const struct raw_queue *queue, struct raw_op *op)
{
	const struct disk_request *request = op->request;
	uint64_t left = request->len_bytes - op->done_bytes;
	unsigned n = 0;

	if (request->op != DISK_WRITE_ZEROES)
		return iov_slice(op->window, WINDOW_MAX, request->iov, request->iov_count,
				 op->done_bytes, left);
	for (; n < WINDOW_MAX && left; n++) {
		op->window[n].iov_base = queue->zeroes;
		op->window[n].iov_len = MIN(left, (uint64_t)ZEROES_BYTES);
		left -= op->window[n].iov_len;
	}
	return n;
}

static void prepare_transfer(struct raw_queue *queue, struct raw_op *op)
{
	const struct disk_request *request = op->request;
	uint64_t offset = request->offset_bytes + op->done_bytes;
	const struct iovec *iov = request->iov;
	unsigned count = request->iov_count;

	if (op->done_bytes || request->op == DISK_WRITE_ZEROES || count > IOV_MAX) {
		count = fill_window(queue, op);
		iov = op->window;
	}
	if (request->op == DISK_READ)
		io_prep_preadv(&op->iocb, queue->file->fd, iov, count, offset);
	else
		io_prep_pwritev(&op->iocb, queue->file->fd, iov, count, offset);
}

static void make_ready(struct raw_queue *queue, struct raw_op *op)
{
	if (op->request->op == DISK_FLUSH)
		io_prep_fdsync(&op->iocb, queue->file->fd);
	else
		prepare_transfer(queue, op);
	io_set_eventfd(&op->iocb, queue->completed.fd);
	op->iocb.data = op;
	append_ready(queue, op);
}

// @result is the host's: bytes or -errno. A transfer of 0 bytes met the end of the
// file, which somebody made shorter: never zeroes that nobody wrote.
static int judge(struct raw_queue *queue, const struct disk_request *request, long result)
{
	if (request->op != DISK_FLUSH)
		return result ? MIN(result, 0) : -EIO;
	// Where a file system cannot do it asynchronously.
	if (result == -EINVAL)
		return fdatasync(queue->file->fd) ? -errno : 0;
	return result;
}

static void end_op(struct raw_queue *queue, struct raw_op *op, long result)
{
	struct disk_request *request = op->request;
	int error = judge(queue, request, result);

	if (!error && request->op != DISK_FLUSH) {
		op->done_bytes += result;
		if (op->done_bytes < request->len_bytes) {
			make_ready(queue, op);
			return;
		}
	}
	release_op(queue, op);
	disk_complete(&queue->queue, request, error);
}

// -- from waiting to in flight --

// Requests for which there is no asynchronous call.
static int try_at_once(struct raw_queue *queue, const struct disk_request *request)
{
	int error;

	if (request->op == DISK_DISCARD)
		return disk_file_discard(queue->file, request->offset_bytes, request->len_bytes);
	if (request->op != DISK_WRITE_ZEROES)
		return NOT_AT_ONCE;
	error = disk_file_zero(queue->file, request->offset_bytes, request->len_bytes,
			       request->unmap);
	return error == -EOPNOTSUPP ? NOT_AT_ONCE : error;
}

static void pop_waiting(struct raw_queue *queue)
{
	queue->waiting_head = queue->waiting_head->next;
}

// Returns false when the request must wait longer, and those behind it with it.
static bool start_request(struct raw_queue *queue, struct disk_request *request)
{
	bool bounce = disk_file_needs_bounce(queue->file, request);
	int result = try_at_once(queue, request);
	struct raw_op *op;

	if (result == NOT_AT_ONCE && bounce) {
		if (queue->in_flight || queue->ready_head)
			return false;
		result = disk_file_bounce(queue->file, request);
	}
	if (result != NOT_AT_ONCE) {
		pop_waiting(queue);
		disk_complete(&queue->queue, request, result);
		return true;
	}
	op = take_op(queue);
	if (!op)
		return false;
	pop_waiting(queue);
	op->request = request;
	op->done_bytes = 0;
	make_ready(queue, op);
	return true;
}

static void start_waiting(struct raw_queue *queue)
{
	while (queue->waiting_head && start_request(queue, queue->waiting_head))
		;
}

static struct raw_op *pop_ready(struct raw_queue *queue)
{
	struct raw_op *op = queue->ready_head;

	queue->ready_head = op->next;
	return op;
}

static void submit_ready(struct raw_queue *queue)
{
	while (queue->ready_head) {
		struct iocb *batch[RAW_DEPTH];
		int count = 0, taken;

		for (struct raw_op *op = queue->ready_head; op; op = op->next)
			batch[count++] = &op->iocb;
		taken = io_submit(queue->aio, count, batch);
		// Short of resources: the next completion gives some back.
		if (taken == -EAGAIN && queue->in_flight)
			return;
		if (taken <= 0)
			end_op(queue, pop_ready(queue), taken ? taken : -EAGAIN);
		for (int i = 0; i < taken; i++) {
			pop_ready(queue);
			queue->in_flight++;
		}
	}
}

// -- completions --

// Returns how many it fetched; with @wait at least one if any is in flight.
static int reap(struct raw_queue *queue, bool wait)
{
	struct io_event events[RAW_DEPTH];
	struct timespec at_once = { 0 };
	int count;

	if (!queue->in_flight)
		return 0;
	count = io_getevents(queue->aio, wait, RAW_DEPTH, events, wait ? NULL : &at_once);
	for (int i = 0; i < count; i++) {
		queue->in_flight--;
		end_op(queue, events[i].data, (long)events[i].res);
	}
	return MAX(count, 0);
}

static bool is_busy(const struct raw_queue *queue)
{
	return queue->waiting_head || queue->ready_head || queue->in_flight;
}

// Moves everything on as far as it goes; with @wait to the end.
static void advance(struct raw_queue *queue, bool wait)
{
	int fetched;

	do {
		start_waiting(queue);
		submit_ready(queue);
		fetched = reap(queue, wait);
	} while (fetched || (wait && is_busy(queue)));
	disk_announce(&queue->queue);
}

static void on_completed(struct loop_fd *self, uint32_t epoll_events)
{
	advance(container_of(self, struct raw_queue, completed), false);
}

// -- requests --

static void raw_submit(struct disk_queue *base, struct disk_request *request)
{
	struct raw_queue *queue = to_raw_queue(base);

	request->next = NULL;
	if (queue->waiting_head)
		queue->waiting_tail->next = request;
	else
		queue->waiting_head = request;
	queue->waiting_tail = request;
}

static void raw_kick(struct disk_queue *queue)
{
	advance(to_raw_queue(queue), false);
}

static void raw_drain(struct disk_queue *queue)
{
	advance(to_raw_queue(queue), true);
}

int raw_read(struct disk *disk, void *data, size_t len, uint64_t offset)
{
	return disk_file_read(&to_raw(disk)->file, data, len, offset);
}

int raw_write(struct disk *disk, const void *data, size_t len, uint64_t offset)
{
	return disk_file_write(&to_raw(disk)->file, data, len, offset);
}

// -- queues --

static int set_up_aio(struct raw_queue *queue)
{
	const char *path = queue->file->path;
	int ret = io_setup(RAW_DEPTH, &queue->aio);

	if (!ret)
		return 0;
	queue->aio = NULL;
	if (ret == -EAGAIN)
		return fail_msg(EAGAIN,
				"disk %s: the host has no more asynchronous I/O to give; "
				"raise its limit: sysctl fs.aio-max-nr=1048576",
				path);
	return fail(-ret, "disk %s: set up asynchronous I/O", path);
}

static int watch_completions(struct raw_queue *queue)
{
	queue->completed.ready = on_completed;
	queue->completed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->completed.fd < 0)
		return fail(errno, "disk %s: create an eventfd", queue->file->path);
	return loop_add_fd(queue->loop, &queue->completed, EPOLLIN | EPOLLET);
}

static int map_zeroes(struct raw_queue *queue)
{
	queue->zeroes = mmap(NULL, ZEROES_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (queue->zeroes != MAP_FAILED)
		return 0;
	queue->zeroes = NULL;
	return fail(errno, "disk %s: map memory", queue->file->path);
}

static void free_queue(struct raw_queue *queue)
{
	if (queue->zeroes)
		munmap(queue->zeroes, ZEROES_BYTES);
	if (queue->aio)
		io_destroy(queue->aio);
	if (queue->completed.fd >= 0)
		close(queue->completed.fd);
	free(queue);
}

static int raw_attach(struct disk *disk, struct loop *loop, struct disk_queue **queue)
{
	struct raw_queue *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return fail(ENOMEM, "disk %s", disk->path);
	new->file = &to_raw(disk)->file;
	new->loop = loop;
	new->completed.fd = -1;
	for (unsigned i = 0; i < RAW_DEPTH; i++)
		release_op(new, &new->ops[i]);
	ret = set_up_aio(new);
	if (!ret)
		ret = map_zeroes(new);
	if (!ret)
		ret = watch_completions(new);
	if (ret)
		free_queue(new);
	else
		*queue = &new->queue;
	return ret;
}

static void raw_detach(struct disk_queue *base)
{
	struct raw_queue *queue = to_raw_queue(base);

	loop_remove_fd(queue->loop, &queue->completed);
	free_queue(queue);
}

// -- life --

static uint64_t raw_zeroes(struct disk *disk, uint64_t offset)
{
	uint64_t size_bytes = disk->info.size_bytes;
	off_t data = lseek(raw_fd(disk), offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO && offset < size_bytes ? size_bytes - offset : 0;
	return MIN((uint64_t)data, size_bytes) - offset;
}

static void raw_close(struct disk *disk)
{
	struct raw_disk *raw = to_raw(disk);

	disk_file_close(&raw->file);
	free(raw);
}

static const struct disk_ops raw_ops = {
	.name = "raw",
	.attach = raw_attach,
	.detach = raw_detach,
	.submit = raw_submit,
	.kick = raw_kick,
	.drain = raw_drain,
	.zeroes = raw_zeroes,
	.close = raw_close,
};

// Where a block of the host's has several sectors, a write of one reads the rest first:
// no other queue must write it meanwhile.
static unsigned queues_max(const struct disk_file *file)
{
	return file->direct && file->offset_align > SECTOR_BYTES ? 1 : DISK_QUEUES_MAX;
}

int raw_open(struct disk **disk, const struct disk_config *config)
{
	struct raw_disk *raw = calloc(1, sizeof(*raw));
	int ret;

	if (!raw)
		return fail(ENOMEM, "disk %s", config->path);
	ret = disk_file_open(&raw->file, config);
	if (ret) {
		free(raw);
		return ret;
	}
	raw->file.info.queues_max = queues_max(&raw->file);
	raw->disk = (struct disk){
		.ops = &raw_ops,
		.path = config->path,
		.info = raw->file.info,
		.growable = raw->file.growable,
	};
	*disk = &raw->disk;
	return 0;
}

int raw_fix_size(struct disk *disk)
{
	struct disk_file *file = &to_raw(disk)->file;
	int ret = disk_file_fix_size(file);

	disk->info = file->info;
	disk->growable = file->growable;
	return ret;
}

int raw_fd(const struct disk *disk)
{
	return to_raw(disk)->file.fd;
}
