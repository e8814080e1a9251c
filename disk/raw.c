// SPDX-License-Identifier: GPL-2.0-or-later
// Raw disks: requests on a file or block device, by an engine.
//
// A request waits until it is kicked and a free operation is at hand; the operation
// is ready until the engine takes it, and in flight until it was reaped. A short transfer
// makes its operation ready once more, for the rest:
//
//	disk_submit       start_waiting       submit_ready         reap
//	-----> waiting ------------> ready ------------> in flight ----> done()
//	                               ^-------- short --------|

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk-priv.h"
#include "engine.h"
#include "file.h"
#include "iov.h"
#include "log.h"
#include "loop.h"

#define WINDOW_MAX 16 // buffers of a follow-up transfer
#define ZEROES_BYTES (64 * KIB)
#define NOT_AT_ONCE 1 // not an errno

struct raw_op {
	struct engine_op io;
	struct disk_request *request;
	uint64_t done_bytes;
	struct iovec window[WINDOW_MAX]; // what is left after a short transfer
	struct raw_op *next;             // free
};

struct raw_disk {
	struct disk disk;
	struct disk_file file;
};

struct raw_queue {
	struct disk_queue queue;
	struct disk_file *file; // the disk's
	struct engine *engine;
	struct disk_list waiting;
	struct engine_list ready;
	struct raw_op *free_ops;
	void *zeroes; // never written, so it costs no memory
	struct raw_op ops[ENGINE_DEPTH];
};

static struct raw_disk *to_raw(const struct disk *disk)
{
	return container_of(disk, struct raw_disk, disk);
}

static struct raw_queue *to_raw_queue(struct disk_queue *queue)
{
	return container_of(queue, struct raw_queue, queue);
}

static struct raw_op *to_raw_op(struct engine_op *io)
{
	return container_of(io, struct raw_op, io);
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
	struct engine_op *io = &op->io;

	io->call = request->op == DISK_READ ? ENGINE_READ : ENGINE_WRITE;
	io->offset = request->offset_bytes + op->done_bytes;
	io->len_bytes = request->len_bytes - op->done_bytes;
	io->iov = request->iov;
	io->iov_count = request->iov_count;
	if (op->done_bytes || request->op == DISK_WRITE_ZEROES || request->iov_count > IOV_MAX) {
		io->iov = op->window;
		io->iov_count = fill_window(queue, op);
	}
}

static void make_ready(struct raw_queue *queue, struct raw_op *op)
{
	op->io = (struct engine_op){ .call = ENGINE_SYNC, .fd = queue->file->fd };
	if (op->request->op != DISK_FLUSH)
		prepare_transfer(queue, op);
	engine_list_append(&queue->ready, &op->io);
}

// The result is the host's: bytes or -errno. A transfer of 0 bytes met the end of the
// file, which somebody made shorter: never zeroes that nobody wrote.
static int judge(const struct disk_request *request, long result)
{
	if (request->op != DISK_FLUSH)
		return result ? MIN(result, 0) : -EIO;
	return (int)result;
}

static void end_op(struct raw_queue *queue, struct raw_op *op, long result)
{
	struct disk_request *request = op->request;
	int error = judge(request, result);

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

// Returns false when the request must wait longer, and those behind it with it.
static bool start_request(struct raw_queue *queue, struct disk_request *request)
{
	bool bounce = disk_file_needs_bounce(queue->file, request);
	int result = try_at_once(queue, request);
	struct raw_op *op;

	if (result == NOT_AT_ONCE && bounce) {
		if (queue->engine->in_flight || queue->ready.head)
			return false;
		result = disk_file_bounce(queue->file, request);
	}
	if (result != NOT_AT_ONCE) {
		disk_list_pop(&queue->waiting);
		disk_complete(&queue->queue, request, result);
		return true;
	}
	op = take_op(queue);
	if (!op)
		return false;
	disk_list_pop(&queue->waiting);
	op->request = request;
	op->done_bytes = 0;
	make_ready(queue, op);
	return true;
}

static void start_waiting(struct raw_queue *queue)
{
	while (queue->waiting.head && start_request(queue, queue->waiting.head))
		;
}

static void submit_ready(struct raw_queue *queue)
{
	while (queue->ready.head) {
		int taken = queue->engine->ops->submit(queue->engine, &queue->ready.head);

		// Short of resources: what ends next gives some back.
		if (taken == -EAGAIN && queue->engine->in_flight)
			return;
		if (taken < 0)
			end_op(queue, to_raw_op(engine_list_pop(&queue->ready)), taken);
	}
}

// -- completions --

// Returns whether there were any; with @wait there is at least one if any is in flight.
static bool reap(struct raw_queue *queue, bool wait)
{
	struct engine_op *io = queue->engine->ops->reap(queue->engine, wait), *next;
	bool any = io;

	for (; io; io = next) {
		next = io->next;
		end_op(queue, to_raw_op(io), io->result);
	}
	return any;
}

static bool is_busy(const struct raw_queue *queue)
{
	return queue->waiting.head || queue->ready.head || queue->engine->in_flight;
}

// Moves everything on as far as it goes; with @wait to the end.
static void advance(struct raw_queue *queue, bool wait)
{
	bool fetched;

	do {
		start_waiting(queue);
		submit_ready(queue);
		fetched = reap(queue, wait);
	} while (fetched || (wait && is_busy(queue)));
	disk_announce(&queue->queue);
}

static void on_ready(struct engine *engine)
{
	advance(engine->opaque, false);
}

// -- requests --

static void raw_submit(struct disk_queue *queue, struct disk_request *request)
{
	disk_list_append(&to_raw_queue(queue)->waiting, request);
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

static const struct engine_ops *named_engine(enum disk_aio aio)
{
	switch (aio) {
	case DISK_AIO_THREADS:
		return &engine_threads;
	case DISK_AIO_NATIVE:
		return &engine_native;
#ifdef HAVE_URING
	case DISK_AIO_IO_URING:
		return &engine_uring;
#endif
	default:
		return NULL;
	}
}

static int try_engine(struct raw_queue *queue, const struct engine_ops *ops, struct loop *loop,
		      bool quiet)
{
	int ret = ops ? ops->create(&queue->engine, queue->file, loop, quiet) : -ENOSYS;

	if (!ret) {
		queue->engine->ready = on_ready;
		queue->engine->opaque = queue;
		debug("disk %s: aio=%s", queue->file->path, ops->name);
	} else if (quiet && ops) {
		debug("disk %s: no aio=%s: %s", queue->file->path, ops->name, strerror(-ret));
	}
	return ret;
}

// io_uring is a wish that not every host grants. The kernel's own asynchronous I/O is so
// for direct I/O only; with the page cache it is no more than a detour.
static int choose_engine(struct raw_queue *queue, struct loop *loop)
{
	const struct disk_file *file = queue->file;
	enum disk_aio wish = file->aio;

	if (wish == DISK_AIO_IO_URING && !try_engine(queue, named_engine(wish), loop, true))
		return 0;
	if (wish == DISK_AIO_NATIVE)
		return try_engine(queue, &engine_native, loop, false);
	if (wish != DISK_AIO_THREADS && file->direct &&
	    !try_engine(queue, &engine_native, loop, true))
		return 0;
	return try_engine(queue, &engine_threads, loop, false);
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
	if (queue->engine)
		queue->engine->ops->free(queue->engine);
	free(queue);
}

static int raw_attach(struct disk *disk, struct loop *loop, struct disk_queue **queue)
{
	struct raw_queue *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return fail(ENOMEM, "disk %s", disk->path);
	new->file = &to_raw(disk)->file;
	for (unsigned i = 0; i < ENGINE_DEPTH; i++)
		release_op(new, &new->ops[i]);
	ret = map_zeroes(new);
	if (!ret)
		ret = choose_engine(new, loop);
	if (ret)
		free_queue(new);
	else
		*queue = &new->queue;
	return ret;
}

static void raw_detach(struct disk_queue *queue)
{
	free_queue(to_raw_queue(queue));
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
