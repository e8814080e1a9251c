// SPDX-License-Identifier: GPL-2.0-or-later
// Limits on operations and bytes a second, by token buckets.
//
// A bucket's level is kept as the time at which it will be full: taking tokens moves that
// into the future, by the time in which as many come in. So nothing needs to be refilled,
// and time that goes by is all the bookkeeping there is.

#include "rate-limit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

#define BURSTS_PER_S 10 // without a burst of the user's; timers are good for milliseconds

// The time in which @amount comes in. A day at most, lest sums overflow.
static uint64_t time_of(uint64_t amount, uint64_t per_s)
{
	uint64_t max_s = 86400, seconds = amount / per_s;

	if (seconds >= max_s)
		return max_s * NSEC_PER_SEC;
	return seconds * NSEC_PER_SEC +
	       (uint64_t)((unsigned __int128)(amount % per_s) * NSEC_PER_SEC / per_s);
}

static struct rate_bucket make_bucket(const struct rate *rate)
{
	struct rate_bucket bucket = { .per_s = rate->per_s };

	if (rate->per_s)
		bucket.burst_ns =
			MAX(time_of(rate->burst, rate->per_s), NSEC_PER_SEC / BURSTS_PER_S);
	return bucket;
}

int rate_parse(const char *text, struct rate *rate)
{
	const char *colon = strchrnul(text, ':');
	struct rate parsed = { 0 };
	char first[32];
	int err;

	if ((size_t)snprintf(first, sizeof(first), "%.*s", (int)(colon - text), text) >=
	    sizeof(first))
		return -EINVAL;
	err = parse_size(first, 1, &parsed.per_s);
	if (!err && *colon)
		err = parse_size(colon + 1, 1, &parsed.burst);
	if (!err && !parsed.per_s)
		err = -EINVAL;
	if (!err)
		*rate = parsed;
	return err;
}

void rate_limit_init(struct rate_limit *limit, const struct rate_config *config)
{
	*limit = (struct rate_limit){
		.ops = make_bucket(&config->ops),
		.bytes = make_bucket(&config->bytes),
	};
	pthread_mutex_init(&limit->lock, NULL);
}

void rate_limit_exit(struct rate_limit *limit)
{
	pthread_mutex_destroy(&limit->lock);
}

// When the bucket is no longer empty.
static uint64_t open_at(const struct rate_bucket *bucket)
{
	return bucket->full_at_ns > bucket->burst_ns ? bucket->full_at_ns - bucket->burst_ns : 0;
}

static void take_from(struct rate_bucket *bucket, uint64_t amount, uint64_t now_ns)
{
	if (bucket->per_s)
		bucket->full_at_ns =
			MAX(bucket->full_at_ns, now_ns) + time_of(amount, bucket->per_s);
}

// Returns 0 when it took them, or the time at which to try again.
static uint64_t take(struct rate_limit *limit, uint64_t bytes)
{
	uint64_t now_ns = clock_monotonic_ns(), at_ns;

	pthread_mutex_lock(&limit->lock);
	at_ns = open_at(&limit->ops);
	if (bytes)
		at_ns = MAX(at_ns, open_at(&limit->bytes));
	if (at_ns <= now_ns) {
		take_from(&limit->ops, 1, now_ns);
		take_from(&limit->bytes, bytes, now_ns);
		at_ns = 0;
	}
	pthread_mutex_unlock(&limit->lock);
	return at_ns;
}

static void expired(struct loop_timer *timer)
{
	struct rate_waiter *waiter = container_of(timer, struct rate_waiter, timer);

	waiter->ready(waiter);
}

void rate_waiter_init(struct rate_waiter *waiter, struct rate_limit *limit, struct loop *loop,
		      void (*ready)(struct rate_waiter *self))
{
	*waiter = (struct rate_waiter){
		.limit = limit,
		.loop = loop,
		.timer.expired = expired,
		.ready = ready,
	};
}

void rate_waiter_exit(struct rate_waiter *waiter)
{
	if (waiter->limit)
		loop_disarm_timer(waiter->loop, &waiter->timer);
}

bool rate_waiter_take(struct rate_waiter *waiter, uint64_t bytes)
{
	uint64_t again_at_ns = waiter->limit ? take(waiter->limit, bytes) : 0;

	if (again_at_ns)
		loop_arm_timer(waiter->loop, &waiter->timer, again_at_ns);
	return !again_at_ns;
}
