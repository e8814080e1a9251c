// SPDX-License-Identifier: GPL-2.0-or-later
// The engine for files in the page cache: at once what is there, and threads for what
// would wait.
//
// A read that the page cache can serve costs less than to hand it on, and so does a write,
// which only copies into it. Whether a call would wait the kernel says (RWF_NOWAIT), or,
// where the file system does not know that, and for a flush, the last call that was made:
// on a RAM disk none takes long. Other calls go to a thread, of which there are as many as
// there is use for.

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"
#include "log.h"
#include "loop.h"
#include "thread.h"

#define WORKERS_MAX 16
#define WRITE_BYTES (64 * KIB)
#define QUICK_NS 100000 // and what copying takes:
#define QUICK_NS_A_BYTE 2

struct threads {
	struct engine engine;
	// Of the loop's thread.
	bool direct;      // every transfer waits for the device
	bool cannot_tell; // the file system knows no RWF_NOWAIT
	bool is_quick[ENGINE_SYNC + 1];
	struct engine_list at_once; // done, and not yet reaped
	struct loop_post finished;
	pthread_t workers[WORKERS_MAX];
	unsigned worker_count;
	// Shared with the workers.
	pthread_mutex_t lock; // guards what follows
	pthread_cond_t work_came;
	pthread_cond_t work_done;
	struct engine_list todo, done;
	unsigned idle;
	unsigned todo_count;
	bool stopping;
};

static struct threads *to_threads(struct engine *engine)
{
	return container_of(engine, struct threads, engine);
}

// -- calls --

// How many of the vector's buffers make up a piece of a write.
static unsigned find_piece(const struct iovec *iov, unsigned count, size_t *len_bytes)
{
	unsigned n = 0;

	for (*len_bytes = 0; n < count && (!n || *len_bytes < WRITE_BYTES); n++)
		*len_bytes += iov[n].iov_len;
	return n;
}

// In pieces: for each page that Linux writes it looks at all of the buffers that are left
// of one call, as far as a large page might reach.
static ssize_t write_pieces(const struct engine_op *op)
{
	const struct iovec *iov = op->iov;
	unsigned left = op->iov_count;
	ssize_t done = 0;

	while (left) {
		size_t len_bytes;
		unsigned count = find_piece(iov, left, &len_bytes);
		ssize_t n = pwritev(op->fd, iov, (int)count, (off_t)op->offset + done);

		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < len_bytes)
			return done;
		iov += count;
		left -= count;
	}
	return done;
}

static long call_host(const struct engine_op *op, int flags)
{
	ssize_t n;

	do {
		if (op->call == ENGINE_READ)
			n = preadv2(op->fd, op->iov, (int)op->iov_count, (off_t)op->offset, flags);
		else if (op->call == ENGINE_WRITE)
			n = write_pieces(op);
		else
			n = fdatasync(op->fd);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void call_and_time(struct engine_op *op)
{
	uint64_t begin_ns = clock_monotonic_ns();

	op->result = call_host(op, 0);
	op->ns = clock_monotonic_ns() - begin_ns;
}

static void learn(struct threads *threads, const struct engine_op *op)
{
	if (op->ns)
		threads->is_quick[op->call] = op->ns < QUICK_NS + op->len_bytes * QUICK_NS_A_BYTE;
}

// -- workers --

static void work(struct threads *threads)
{
	struct engine_op *op = engine_list_pop(&threads->todo);

	threads->todo_count--;
	pthread_mutex_unlock(&threads->lock);
	call_and_time(op);
	pthread_mutex_lock(&threads->lock);
	if (!threads->done.head)
		loop_post(threads->engine.loop, &threads->finished);
	engine_list_append(&threads->done, op);
	pthread_cond_signal(&threads->work_done);
}

static void *run_worker(void *arg)
{
	struct threads *threads = arg;

	pthread_mutex_lock(&threads->lock);
	while (!threads->stopping) {
		if (threads->todo.head) {
			work(threads);
			continue;
		}
		threads->idle++;
		pthread_cond_wait(&threads->work_came, &threads->lock);
		threads->idle--;
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

static bool is_worker_free(struct threads *threads)
{
	bool yes;

	pthread_mutex_lock(&threads->lock);
	yes = threads->todo_count < threads->idle;
	pthread_mutex_unlock(&threads->lock);
	return yes;
}

// Returns whether there is one at all.
static bool find_worker(struct threads *threads)
{
	pthread_t *worker = &threads->workers[threads->worker_count];

	if (!is_worker_free(threads) && threads->worker_count < WORKERS_MAX &&
	    !thread_create(worker, "disk-io", run_worker, threads))
		threads->worker_count++;
	return threads->worker_count;
}

static void hand_on(struct threads *threads, struct engine_op *op)
{
	pthread_mutex_lock(&threads->lock);
	engine_list_append(&threads->todo, op);
	threads->todo_count++;
	pthread_cond_signal(&threads->work_came);
	pthread_mutex_unlock(&threads->lock);
}

// -- the loop's side --

// Returns whether it was done.
static bool try_nowait(struct threads *threads, struct engine_op *op)
{
	if (op->call != ENGINE_READ || threads->cannot_tell)
		return false;
	op->result = call_host(op, RWF_NOWAIT);
	if (op->result == -EOPNOTSUPP)
		threads->cannot_tell = true;
	return op->result != -EOPNOTSUPP && op->result != -EAGAIN;
}

static bool is_for_here(const struct threads *threads, const struct engine_op *op)
{
	if (op->call == ENGINE_READ && !threads->cannot_tell)
		return false;
	return threads->is_quick[op->call];
}

static bool try_at_once(struct threads *threads, struct engine_op *op)
{
	if (threads->direct && op->call != ENGINE_SYNC)
		return false;
	if (try_nowait(threads, op))
		return true;
	if (!is_for_here(threads, op))
		return false;
	call_and_time(op);
	return true;
}

static void start(struct threads *threads, struct engine_op *op)
{
	op->ns = 0;
	if (try_at_once(threads, op)) {
		engine_list_append(&threads->at_once, op);
	} else if (find_worker(threads)) {
		hand_on(threads, op);
	} else {
		call_and_time(op);
		engine_list_append(&threads->at_once, op);
	}
}

static int threads_submit(struct engine *engine, struct engine_op **ops)
{
	while (*ops) {
		struct engine_op *op = *ops;

		*ops = op->next;
		engine->in_flight++;
		start(to_threads(engine), op);
	}
	return 0;
}

static void take_from_workers(struct threads *threads, struct engine_list *list, bool wait)
{
	pthread_mutex_lock(&threads->lock);
	while (wait && !threads->done.head)
		pthread_cond_wait(&threads->work_done, &threads->lock);
	while (threads->done.head)
		engine_list_append(list, engine_list_pop(&threads->done));
	pthread_mutex_unlock(&threads->lock);
}

static struct engine_op *threads_reap(struct engine *engine, bool wait)
{
	struct threads *threads = to_threads(engine);
	struct engine_list list = threads->at_once;

	threads->at_once = (struct engine_list){ 0 };
	if (engine->in_flight && threads->worker_count)
		take_from_workers(threads, &list, wait && !list.head);
	for (struct engine_op *op = list.head; op; op = op->next) {
		learn(threads, op);
		engine->in_flight--;
	}
	return list.head;
}

static void on_finished(struct loop_post *post)
{
	struct threads *threads = container_of(post, struct threads, finished);

	threads->engine.ready(&threads->engine);
}

// -- life --

static int threads_create(struct engine **engine, const struct disk_file *file, struct loop *loop,
			  bool quiet)
{
	struct threads *threads = calloc(1, sizeof(*threads));

	if (!threads)
		return fail(ENOMEM, "disk %s", file->path);
	threads->engine = (struct engine){ .ops = &engine_threads, .loop = loop };
	threads->finished.call = on_finished;
	threads->direct = file->direct;
	threads->is_quick[ENGINE_WRITE] = !file->direct;
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work_came, NULL);
	pthread_cond_init(&threads->work_done, NULL);
	*engine = &threads->engine;
	return 0;
}

static void threads_free(struct engine *engine)
{
	struct threads *threads = to_threads(engine);

	pthread_mutex_lock(&threads->lock);
	threads->stopping = true;
	pthread_cond_broadcast(&threads->work_came);
	pthread_mutex_unlock(&threads->lock);
	for (unsigned i = 0; i < threads->worker_count; i++)
		pthread_join(threads->workers[i], NULL);
	loop_cancel_post(engine->loop, &threads->finished);
	pthread_cond_destroy(&threads->work_done);
	pthread_cond_destroy(&threads->work_came);
	pthread_mutex_destroy(&threads->lock);
	free(threads);
}

const struct engine_ops engine_threads = {
	.name = "threads",
	.create = threads_create,
	.free = threads_free,
	.submit = threads_submit,
	.reap = threads_reap,
};
