// SPDX-License-Identifier: GPL-2.0-or-later
// The engine on io_uring, where liburing was there when kvik was built.
#ifdef HAVE_URING

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "log.h"
#include "loop.h"

struct uring {
	struct engine engine;
	struct io_uring ring;
	struct loop_fd completed;
};

static struct uring *to_uring(struct engine *engine)
{
	return container_of(engine, struct uring, engine);
}

static void on_completed(struct loop_fd *self, uint32_t epoll_events)
{
	struct uring *uring = container_of(self, struct uring, completed);

	uring->engine.ready(&uring->engine);
}

static void prepare(struct io_uring_sqe *sqe, struct engine_op *op)
{
	if (op->call == ENGINE_READ)
		io_uring_prep_readv(sqe, op->fd, op->iov, op->iov_count, op->offset);
	else if (op->call == ENGINE_WRITE)
		io_uring_prep_writev(sqe, op->fd, op->iov, op->iov_count, op->offset);
	else
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, op);
}

// Where the kernel has no resources now, what is in the ring stays there for another
// time: in the next round of the loop.
static void flush_ring(struct uring *uring)
{
	if (io_uring_sq_ready(&uring->ring) && io_uring_submit(&uring->ring) < 0)
		eventfd_write(uring->completed.fd, 1);
}

static int uring_submit(struct engine *engine, struct engine_op **ops)
{
	struct uring *uring = to_uring(engine);
	struct io_uring_sqe *sqe;
	bool any = false;

	while (*ops && (sqe = io_uring_get_sqe(&uring->ring))) {
		prepare(sqe, *ops);
		*ops = (*ops)->next;
		engine->in_flight++;
		any = true;
	}
	flush_ring(uring);
	return any ? 0 : -EAGAIN;
}

static struct engine_op *uring_reap(struct engine *engine, bool wait)
{
	struct uring *uring = to_uring(engine);
	struct io_uring_cqe *cqes[ENGINE_DEPTH];
	struct engine_op *first = NULL;
	unsigned count;

	if (!engine->in_flight)
		return NULL;
	if (wait)
		io_uring_submit_and_wait(&uring->ring, 1);
	else
		flush_ring(uring);
	count = io_uring_peek_batch_cqe(&uring->ring, cqes, ENGINE_DEPTH);
	for (unsigned i = count; i-- > 0;) {
		struct engine_op *op = io_uring_cqe_get_data(cqes[i]);

		op->result = cqes[i]->res;
		op->next = first;
		first = op;
	}
	io_uring_cq_advance(&uring->ring, count);
	engine->in_flight -= count;
	return first;
}

static int watch_completions(struct uring *uring)
{
	int ret;

	uring->completed.ready = on_completed;
	uring->completed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uring->completed.fd < 0)
		return -errno;
	ret = io_uring_register_eventfd(&uring->ring, uring->completed.fd);
	if (!ret)
		ret = loop_add_fd(uring->engine.loop, &uring->completed, EPOLLIN | EPOLLET);
	if (ret)
		close(uring->completed.fd);
	return ret;
}

static int set_up(struct uring *uring)
{
	int ret = io_uring_queue_init(ENGINE_DEPTH, &uring->ring, 0);

	if (ret)
		return ret;
	ret = watch_completions(uring);
	if (ret)
		io_uring_queue_exit(&uring->ring);
	return ret;
}

static int uring_create(struct engine **engine, const struct disk_file *file, struct loop *loop,
			bool quiet)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return fail(ENOMEM, "disk %s", file->path);
	uring->engine = (struct engine){ .ops = &engine_uring, .loop = loop };
	ret = set_up(uring);
	if (!ret) {
		*engine = &uring->engine;
		return 0;
	}
	free(uring);
	return quiet ? ret : fail(-ret, "disk %s: set up io_uring", file->path);
}

static void uring_free(struct engine *engine)
{
	struct uring *uring = to_uring(engine);

	loop_remove_fd(engine->loop, &uring->completed);
	io_uring_queue_exit(&uring->ring);
	close(uring->completed.fd);
	free(uring);
}

const struct engine_ops engine_uring = {
	.name = "io_uring",
	.create = uring_create,
	.free = uring_free,
	.submit = uring_submit,
	.reap = uring_reap,
};

#endif
