// SPDX-License-Identifier: GPL-2.0-or-later
// Limits on operations and bytes a second, by token buckets.
//
// A device has one struct rate_limit; each of its queues has a struct rate_waiter on the
// queue's loop. An operation is let through as long as the buckets are not empty, however
// large it is: it may leave a debt that those after it wait for. So the rates hold on
// average, and no request is too large ever to pass.
#ifndef KVIK_RATE_LIMIT_H
#define KVIK_RATE_LIMIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

// 0 a second: no limit. @burst: what may pass at once after a pause; 0, and whatever is
// less than that: what passes in a tenth of a second.
struct rate {
	uint64_t per_s;
	uint64_t burst;
};

struct rate_config {
	struct rate ops;
	struct rate bytes;
};

// The bucket is full when full_at_ns (CLOCK_MONOTONIC) lies in the past, and empty when
// it lies burst_ns ahead.
struct rate_bucket {
	uint64_t per_s;
	uint64_t burst_ns; // the time in which it fills
	uint64_t full_at_ns;
};

struct rate_limit {
	pthread_mutex_t lock; // of the buckets
	struct rate_bucket ops;
	struct rate_bucket bytes;
};

// "1000", "10M:64M": a rate, and behind the colon a burst, each as parse_size() takes it.
// Returns 0 or -errno (no message).
int rate_parse(const char *text, struct rate *rate) MUST_CHECK;

void rate_limit_init(struct rate_limit *limit, const struct rate_config *config);
void rate_limit_exit(struct rate_limit *limit);

// Embedded in a queue; all calls on its loop's thread, or while that does not run.
struct rate_waiter {
	struct rate_limit *limit;
	struct loop *loop;
	struct loop_timer timer;
	void (*ready)(struct rate_waiter *self);
};

// @limit NULL: all passes. It outlives the waiter.
void rate_waiter_init(struct rate_waiter *waiter, struct rate_limit *limit, struct loop *loop,
		      void (*ready)(struct rate_waiter *self));
void rate_waiter_exit(struct rate_waiter *waiter); // ready() is not called any more
// Takes one operation of @bytes (0: of none that count). False: not now; ready() will be
// called once, when it is worth trying again.
bool rate_waiter_take(struct rate_waiter *waiter, uint64_t bytes) MUST_CHECK;

#endif
