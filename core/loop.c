// SPDX-License-Identifier: GPL-2.0-or-later
// An epoll event loop: file descriptors, timers, and calls posted by other threads.
//
// A round of the loop: serve the posts, sleep in epoll_wait() until the nearest
// deadline, hand out the events, let one timer expire. Posts and stops from other
// threads end the sleep through an eventfd, which is written only when the queue
// was empty: a round that finds posts left does not sleep.

#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "thread.h"

#define BATCH_MAX 16 // events fetched at once

uint64_t clock_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

// It is watched for edges: each write is one, and nothing needs to be read.
static void woken(struct loop_fd *self, uint32_t epoll_events)
{
}

int loop_init(struct loop *loop)
{
	int ret;

	*loop = (struct loop){ .wake_fd = -1, .wake.ready = woken };
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->hold_changed, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		ret = fail(errno, "create an epoll descriptor");
		goto out;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		ret = fail(errno, "create an eventfd");
		goto out;
	}
	loop->wake.fd = loop->wake_fd;
	ret = loop_add_fd(loop, &loop->wake, EPOLLIN | EPOLLET);
out:
	if (ret)
		loop_exit(loop);
	return ret;
}

void loop_exit(struct loop *loop)
{
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	pthread_cond_destroy(&loop->hold_changed);
	pthread_mutex_destroy(&loop->lock);
}

// -- posts --

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n = write(loop->wake_fd, &one, sizeof(one));

	(void)n; // EAGAIN: the counter is full, so the loop will wake up
}

void loop_post(struct loop *loop, struct loop_post *post)
{
	pthread_mutex_lock(&loop->lock);
	if (!post->queued) {
		post->queued = true;
		post->next = NULL;
		if (loop->posts_head)
			loop->posts_tail->next = post;
		else
			loop->posts_head = post;
		loop->posts_tail = post;
		// Under the lock: the loop may be gone once it has served this.
		if (loop->posts_head == post)
			loop_wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
}

void loop_cancel_post(struct loop *loop, struct loop_post *post)
{
	struct loop_post **link, *before = NULL;

	pthread_mutex_lock(&loop->lock);
	for (link = &loop->posts_head; *link && *link != post; link = &before->next)
		before = *link;
	if (*link) {
		*link = post->next;
		if (loop->posts_tail == post)
			loop->posts_tail = before;
		post->queued = false;
	}
	pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stopping = true;
	loop_wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

static struct loop_post *pop_post(struct loop *loop)
{
	struct loop_post *post = loop->posts_head;

	if (post) {
		loop->posts_head = post->next;
		post->queued = false;
	}
	return post;
}

static unsigned count_posts(const struct loop *loop)
{
	unsigned count = 0;

	for (const struct loop_post *post = loop->posts_head; post; post = post->next)
		count++;
	return count;
}

// loop->lock is held, and given up while waiting.
static void stand_still(struct loop *loop)
{
	loop->standing = loop->held;
	if (loop->held)
		pthread_cond_broadcast(&loop->hold_changed);
	while (loop->held)
		pthread_cond_wait(&loop->hold_changed, &loop->lock);
	loop->standing = false;
}

void loop_hold(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->held = true;
	loop_wake(loop);
	while (!loop->standing)
		pthread_cond_wait(&loop->hold_changed, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
}

void loop_release(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->held = false;
	pthread_cond_broadcast(&loop->hold_changed);
	pthread_mutex_unlock(&loop->lock);
}

// Makes the calls that wait now, but none that they post in turn: those must not
// keep the loop from its descriptors. Returns whether loop_stop() came before.
static bool serve_posts(struct loop *loop)
{
	struct loop_post *post;
	bool stopping;
	unsigned left;

	pthread_mutex_lock(&loop->lock);
	stopping = loop->stopping;
	left = count_posts(loop);
	// A call may serve or cancel posts itself: then fewer are left.
	while (left-- && (post = pop_post(loop))) {
		pthread_mutex_unlock(&loop->lock);
		post->call(post);
		pthread_mutex_lock(&loop->lock);
	}
	stand_still(loop);
	pthread_mutex_unlock(&loop->lock);
	return stopping;
}

struct waiting_call {
	struct loop_post post;
	void (*call)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t done_changed;
	bool done;
};

static void make_waiting_call(struct loop_post *post)
{
	struct waiting_call *waiting = container_of(post, struct waiting_call, post);

	waiting->call(waiting->arg);
	pthread_mutex_lock(&waiting->lock);
	waiting->done = true;
	pthread_cond_signal(&waiting->done_changed);
	pthread_mutex_unlock(&waiting->lock);
}

void loop_call(struct loop *loop, void (*call)(void *arg), void *arg)
{
	struct waiting_call waiting = {
		.post.call = make_waiting_call,
		.call = call,
		.arg = arg,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.done_changed = PTHREAD_COND_INITIALIZER,
	};

	loop_post(loop, &waiting.post);
	pthread_mutex_lock(&waiting.lock);
	while (!waiting.done)
		pthread_cond_wait(&waiting.done_changed, &waiting.lock);
	pthread_mutex_unlock(&waiting.lock);
	pthread_cond_destroy(&waiting.done_changed);
	pthread_mutex_destroy(&waiting.lock);
}

// -- descriptors --

int loop_add_fd(struct loop *loop, struct loop_fd *lfd, uint32_t epoll_events)
{
	struct epoll_event event = { .events = epoll_events, .data.ptr = lfd };

	if (!epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, lfd->fd, &event))
		return 0;
	return errno == EPERM ? -EPERM : fail(errno, "watch descriptor %d", lfd->fd);
}

// What was fetched before the change must not be handed out after it.
static void mask_batch(struct loop *loop, const struct loop_fd *lfd, uint32_t epoll_events)
{
	for (int i = 0; i < loop->batch_count; i++)
		if (loop->batch[i].data.ptr == lfd)
			loop->batch[i].events &= epoll_events;
}

void loop_modify_fd(struct loop *loop, struct loop_fd *lfd, uint32_t epoll_events)
{
	struct epoll_event event = { .events = epoll_events, .data.ptr = lfd };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, lfd->fd, &event))
		err("watch descriptor %d: %m", lfd->fd);
	mask_batch(loop, lfd, epoll_events | EPOLLERR | EPOLLHUP);
}

void loop_remove_fd(struct loop *loop, struct loop_fd *lfd)
{
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, lfd->fd, NULL))
		err("stop watching descriptor %d: %m", lfd->fd);
	mask_batch(loop, lfd, 0);
}

int loop_watch_fd(struct loop *loop, struct loop_fd *lfd, uint32_t *watched, uint32_t wanted)
{
	int err = 0;

	if (!*watched && wanted)
		err = loop_add_fd(loop, lfd, wanted);
	else if (*watched && !wanted)
		loop_remove_fd(loop, lfd);
	else if (*watched != wanted)
		loop_modify_fd(loop, lfd, wanted);
	*watched = err ? 0 : wanted;
	return err;
}

// The batch is in the loop for loop_remove_fd(): a callback may remove and free
// a descriptor whose event comes later in the same batch.
static void hand_out_events(struct loop *loop)
{
	while (loop->batch_count) {
		struct epoll_event event = *loop->batch++;
		struct loop_fd *lfd = event.data.ptr;

		loop->batch_count--;
		if (event.events)
			lfd->ready(lfd, event.events);
	}
}

// -- timers --

void loop_arm_timer(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
	struct loop_timer **link = &loop->timers;

	loop_disarm_timer(loop, timer);
	timer->deadline_ns = MAX(deadline_ns, (uint64_t)1);
	while (*link && (*link)->deadline_ns <= timer->deadline_ns)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
}

void loop_disarm_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	if (!timer->deadline_ns)
		return;
	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	timer->deadline_ns = 0;
}

// One a round: a timer that re-arms itself for now must not starve the rest.
static void expire_one_timer(struct loop *loop)
{
	struct loop_timer *timer = loop->timers;

	if (timer && timer->deadline_ns <= clock_monotonic_ns()) {
		loop_disarm_timer(loop, timer);
		timer->expired(timer);
	}
}

// -- rounds --

static bool has_posts(struct loop *loop)
{
	bool yes;

	pthread_mutex_lock(&loop->lock);
	yes = loop->posts_head;
	pthread_mutex_unlock(&loop->lock);
	return yes;
}

// For epoll_wait(): milliseconds, rounded up so that no timer fires early; -1
// without a limit.
static int sleep_ms(struct loop *loop)
{
	uint64_t now, ms;

	if (has_posts(loop))
		return 0;
	if (!loop->timers)
		return -1;
	now = clock_monotonic_ns();
	if (loop->timers->deadline_ns <= now)
		return 0;
	ms = (loop->timers->deadline_ns - now - 1) / NSEC_PER_MSEC + 1;
	return MIN(ms, (uint64_t)INT_MAX);
}

// So that the loop can run again.
static void clear_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stopping = false;
	pthread_mutex_unlock(&loop->lock);
}

void loop_run(struct loop *loop)
{
	struct epoll_event events[BATCH_MAX];

	while (!serve_posts(loop)) {
		int count = epoll_wait(loop->epoll_fd, events, BATCH_MAX, sleep_ms(loop));

		loop->batch = events;
		loop->batch_count = MAX(count, 0); // EINTR: no events
		hand_out_events(loop);
		expire_one_timer(loop);
	}
	loop->batch = NULL;
	clear_stop(loop);
}

void loop_wait_posts(struct loop *loop)
{
	struct pollfd wake = { .fd = loop->wake_fd, .events = POLLIN };
	uint64_t count;

	// What was written long ago ends the first sleep.
	if (poll(&wake, 1, has_posts(loop) ? 0 : -1) > 0)
		if (read(loop->wake_fd, &count, sizeof(count)) < 0)
			debug("eventfd: %m");
	serve_posts(loop);
}

// -- a thread of its own --

static void *run_on_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

int loop_start_thread(struct loop *loop, const char *name)
{
	int ret = thread_create(&loop->thread, name, run_on_thread, loop);

	loop->has_thread = !ret;
	return ret;
}

void loop_stop_thread(struct loop *loop)
{
	if (!loop->has_thread)
		return;
	loop_stop(loop);
	pthread_join(loop->thread, NULL);
	loop->has_thread = false;
}
