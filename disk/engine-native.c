// SPDX-License-Identifier: GPL-2.0-or-later
// The engine on the kernel's asynchronous I/O (libaio).
//
// The kernel tells of completions by an eventfd, which is watched edge-triggered: that
// saves reading it.

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "log.h"
#include "loop.h"

struct native {
	struct engine engine;
	io_context_t aio;
	struct loop_fd completed;
	struct engine_op *at_once; // done, and not yet reaped
};

static struct native *to_native(struct engine *engine)
{
	return container_of(engine, struct native, engine);
}

static void on_completed(struct loop_fd *self, uint32_t epoll_events)
{
	struct native *native = container_of(self, struct native, completed);

	native->engine.ready(&native->engine);
}

static void prepare(struct native *native, struct engine_op *op)
{
	int count = (int)op->iov_count;

	if (op->call == ENGINE_READ)
		io_prep_preadv(&op->iocb, op->fd, op->iov, count, (long long)op->offset);
	else if (op->call == ENGINE_WRITE)
		io_prep_pwritev(&op->iocb, op->fd, op->iov, count, (long long)op->offset);
	else
		io_prep_fdsync(&op->iocb, op->fd);
	io_set_eventfd(&op->iocb, native->completed.fd);
	op->iocb.data = op;
}

// Where a file system cannot flush asynchronously; some say so at once, others later.
static long sync_here(const struct engine_op *op)
{
	return fdatasync(op->fd) ? -errno : 0;
}

static int submit_failed(struct native *native, struct engine_op **ops, int error)
{
	struct engine_op *op = *ops;

	if (error != -EINVAL || op->call != ENGINE_SYNC)
		return error;
	*ops = op->next;
	op->result = sync_here(op);
	op->next = native->at_once;
	native->at_once = op;
	native->engine.in_flight++;
	return 0;
}

static int native_submit(struct engine *engine, struct engine_op **ops)
{
	struct native *native = to_native(engine);
	struct iocb *batch[ENGINE_DEPTH];
	struct engine_op *op = *ops;
	int count = 0, taken;

	do {
		prepare(native, op);
		batch[count++] = &op->iocb;
		op = op->next;
	} while (op && count < ENGINE_DEPTH);
	taken = io_submit(native->aio, count, batch);
	if (taken <= 0)
		return submit_failed(native, ops, taken ? taken : -EAGAIN);
	engine->in_flight += (unsigned)taken;
	op = batch[taken - 1]->data;
	*ops = op->next;
	return 0;
}

static struct engine_op *native_reap(struct engine *engine, bool wait)
{
	struct native *native = to_native(engine);
	struct io_event events[ENGINE_DEPTH];
	struct timespec at_once = { 0 };
	struct engine_op *first = native->at_once;
	int count = 0;

	native->at_once = NULL;
	for (struct engine_op *op = first; op; op = op->next)
		engine->in_flight--;
	wait = wait && !first;
	if (engine->in_flight)
		count = io_getevents(native->aio, wait, ENGINE_DEPTH, events,
				     wait ? NULL : &at_once);
	while (count-- > 0) {
		struct engine_op *op = events[count].data;
		long result = (long)events[count].res;

		op->result = op->call == ENGINE_SYNC && result == -EINVAL ? sync_here(op) : result;
		op->next = first;
		first = op;
		engine->in_flight--;
	}
	return first;
}

static int set_up_aio(struct native *native, const char *path, bool quiet)
{
	int ret = io_setup(ENGINE_DEPTH, &native->aio);

	if (!ret)
		return 0;
	native->aio = NULL;
	if (quiet)
		return ret;
	if (ret == -EAGAIN)
		return fail_msg(
			EAGAIN,
			"disk %s: the host has no more asynchronous I/O to give; "
			"raise its limit: sysctl fs.aio-max-nr=1048576, or use ,aio=threads",
			path);
	return fail(-ret, "disk %s: set up asynchronous I/O", path);
}

static int watch_completions(struct native *native, const char *path)
{
	native->completed.ready = on_completed;
	native->completed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (native->completed.fd < 0)
		return fail(errno, "disk %s: create an eventfd", path);
	return loop_add_fd(native->engine.loop, &native->completed, EPOLLIN | EPOLLET);
}

static void tear_down(struct native *native)
{
	if (native->aio)
		io_destroy(native->aio);
	if (native->completed.fd >= 0)
		close(native->completed.fd);
	free(native);
}

static int native_create(struct engine **engine, const struct disk_file *file, struct loop *loop,
			 bool quiet)
{
	struct native *native = calloc(1, sizeof(*native));
	int ret;

	if (!native)
		return fail(ENOMEM, "disk %s", file->path);
	native->engine = (struct engine){ .ops = &engine_native, .loop = loop };
	native->completed.fd = -1;
	ret = set_up_aio(native, file->path, quiet);
	if (!ret)
		ret = watch_completions(native, file->path);
	if (ret)
		tear_down(native);
	else
		*engine = &native->engine;
	return ret;
}

static void native_free(struct engine *engine)
{
	struct native *native = to_native(engine);

	loop_remove_fd(engine->loop, &native->completed);
	tear_down(native);
}

const struct engine_ops engine_native = {
	.name = "native",
	.create = native_create,
	.free = native_free,
	.submit = native_submit,
	.reap = native_reap,
};
