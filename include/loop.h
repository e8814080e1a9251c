// SPDX-License-Identifier: GPL-2.0-or-later
// An epoll event loop: file descriptors, timers, and calls posted by other threads.
//
// The main thread runs one loop; each device with real I/O runs another on a
// thread of its own. Callbacks run on the loop's thread, one at a time.
//
// Three rules keep loops free of deadlock: a loop thread never takes a
// transport's device lock, never waits for a vCPU without serving posts meanwhile
// (loop_wait_posts()), and serves posts until the last vCPU has left.
#ifndef KVIK_LOOP_H
#define KVIK_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

// A callback on a readable or writable descriptor; embedded in its owner.
struct loop_fd {
	int fd;
	void (*ready)(struct loop_fd *self, uint32_t epoll_events);
};

// A one-shot timer; embedded in its owner.
struct loop_timer {
	void (*expired)(struct loop_timer *self);
	uint64_t deadline_ns; // CLOCK_MONOTONIC; 0: not armed
	struct loop_timer *next;
};

// A call to make on the loop's thread; embedded in its owner. Posting one that is
// still waiting has no further effect: posts coalesce.
struct loop_post {
	void (*call)(struct loop_post *self);
	struct loop_post *next;
	bool queued;
};

struct epoll_event;

struct loop {
	int epoll_fd;
	int wake_fd;
	struct loop_fd wake;
	struct loop_timer *timers; // sorted by deadline
	struct epoll_event *batch; // events that this round has yet to hand out
	int batch_count;
	pthread_mutex_t lock; // guards the fields below
	struct loop_post *posts_head;
	struct loop_post *posts_tail;
	pthread_cond_t hold_changed;
	bool held;
	bool standing;
	bool stopping;
	bool has_thread;
	pthread_t thread;
};

int loop_init(struct loop *loop) MUST_CHECK;
void loop_exit(struct loop *loop); // the loop does not run

// Runs until loop_stop(); serves what was posted before that first.
void loop_run(struct loop *loop);
// Makes loop_run() return. Any thread.
void loop_stop(struct loop *loop);

// Runs the loop on a new thread called @name (at most 15 bytes), with all signals
// blocked; loop_stop_thread() stops and joins it.
int loop_start_thread(struct loop *loop, const char *name) MUST_CHECK;
void loop_stop_thread(struct loop *loop);

// Watches @lfd->fd for @epoll_events (EPOLLIN, ...). -EPERM (no message): the
// descriptor is one that epoll refuses because it is always ready (a regular
// file, /dev/null). Loop thread, or while the loop does not run.
int loop_add_fd(struct loop *loop, struct loop_fd *lfd, uint32_t epoll_events) MUST_CHECK;
void loop_modify_fd(struct loop *loop, struct loop_fd *lfd, uint32_t epoll_events);
void loop_remove_fd(struct loop *loop, struct loop_fd *lfd);
// Watches for @wanted what was watched for *@watched, and notes that there. 0 is not at all:
// EPOLLHUP, which comes unasked while a descriptor is watched, does not come either.
int loop_watch_fd(struct loop *loop, struct loop_fd *lfd, uint32_t *watched, uint32_t wanted)
	MUST_CHECK;

// Arms (or re-arms) a timer for @deadline_ns of CLOCK_MONOTONIC. Loop thread.
void loop_arm_timer(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_disarm_timer(struct loop *loop, struct loop_timer *timer);

// Any thread. loop_call() waits until the call was made: it must not be used from
// the loop's own thread, nor for a loop that does not run.
void loop_post(struct loop *loop, struct loop_post *post);
// Forgets a post that still waits, before its owner is freed. Loop thread, or
// while the loop does not run.
void loop_cancel_post(struct loop *loop, struct loop_post *post);
void loop_call(struct loop *loop, void (*call)(void *arg), void *arg);

// For a loop thread that must wait for another thread which may itself wait for
// a post: sleeps until loop_wake() or loop_post(), then serves the posts. Returns
// also without a reason: check what you wait for and call it again. Loop thread.
void loop_wait_posts(struct loop *loop);
void loop_wake(struct loop *loop); // any thread

// Makes a loop with a thread of its own stand still between two callbacks, until
// loop_release(): descriptors, timers and posts wait, so nobody may wait for a post of
// his meanwhile. Holding or releasing twice does no harm. Main thread.
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

uint64_t clock_monotonic_ns(void);

#endif
