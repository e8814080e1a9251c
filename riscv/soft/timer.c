// SPDX-License-Identifier: GPL-2.0-or-later
// One thread that raises the timer interrupt of whichever hart is due next.
//
// A hart says when by hart->deadline_ns; the thread is woken only when that is
// earlier than what it already sleeps for.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hart.h"
#include "log.h"
#include "loop.h"

#define NEVER UINT64_MAX

struct timer {
	struct soft_vm *vm;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic uint64_t sleeping_until_ns;
	bool held; // raises nothing
	bool stopping;
};

// Raises what is due; returns when the next one is.
static uint64_t raise_due(struct soft_vm *vm)
{
	uint64_t now = vm->clock_ns(), next = NEVER;

	for (unsigned i = 0; i < vm->hart_count; i++) {
		struct hart *h = vm->harts[i];

		if (atomic_load(&h->deadline_ns) <= now)
			hart_expire_timer(h, now);
		next = MIN(next, atomic_load(&h->deadline_ns));
	}
	return next;
}

static void sleep_until(struct timer *timer, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(deadline_ns % NSEC_PER_SEC),
	};

	if (deadline_ns == NEVER)
		pthread_cond_wait(&timer->changed, &timer->lock);
	else
		pthread_cond_timedwait(&timer->changed, &timer->lock, &ts);
}

static void *timer_main(void *arg)
{
	struct timer *timer = arg;

	pthread_mutex_lock(&timer->lock);
	while (!timer->stopping) {
		uint64_t next;

		if (timer->held) {
			pthread_cond_wait(&timer->changed, &timer->lock);
			continue;
		}
		next = raise_due(timer->vm);
		// A hart that arms after this sees the new value and wakes us; one that
		// armed before it is seen by the second look.
		atomic_store(&timer->sleeping_until_ns, next);
		if (raise_due(timer->vm) >= next)
			sleep_until(timer, next);
		atomic_store(&timer->sleeping_until_ns, 0);
	}
	pthread_mutex_unlock(&timer->lock);
	return NULL;
}

void timer_rearm(struct soft_vm *vm, uint64_t deadline_ns)
{
	struct timer *timer = vm->timer;

	if (deadline_ns >= atomic_load(&timer->sleeping_until_ns))
		return;
	pthread_mutex_lock(&timer->lock);
	pthread_cond_signal(&timer->changed);
	pthread_mutex_unlock(&timer->lock);
}

void timer_hold(struct soft_vm *vm, bool hold)
{
	struct timer *timer = vm->timer;

	pthread_mutex_lock(&timer->lock);
	timer->held = hold;
	pthread_cond_signal(&timer->changed);
	pthread_mutex_unlock(&timer->lock);
}

int timer_create_thread(struct soft_vm *vm)
{
	struct timer *timer = calloc(1, sizeof(*timer));
	pthread_condattr_t attr;
	int ret;

	if (!timer)
		return -ENOMEM;
	timer->vm = vm;
	pthread_mutex_init(&timer->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&timer->changed, &attr);
	pthread_condattr_destroy(&attr);
	vm->timer = timer;
	ret = pthread_create(&timer->thread, NULL, timer_main, timer);
	if (ret) {
		free(timer);
		vm->timer = NULL;
		return fail(ret, "software engine: start the timer thread");
	}
	pthread_setname_np(timer->thread, "kvik-timer");
	return 0;
}

void timer_free(struct soft_vm *vm)
{
	struct timer *timer = vm->timer;

	if (!timer)
		return;
	pthread_mutex_lock(&timer->lock);
	timer->stopping = true;
	pthread_cond_signal(&timer->changed);
	pthread_mutex_unlock(&timer->lock);
	pthread_join(timer->thread, NULL);
	pthread_cond_destroy(&timer->changed);
	pthread_mutex_destroy(&timer->lock);
	free(timer);
	vm->timer = NULL;
}
