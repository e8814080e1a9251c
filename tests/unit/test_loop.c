// SPDX-License-Identifier: GPL-2.0-or-later
// The event loop: descriptors, timers, posts, stopping.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop.h"
#include "util.h"

#include <cmocka.h>

#define MSEC 1000000ULL

static int setup(void **state)
{
	static struct loop loop;

	alarm(30); // a hang is a failure
	*state = &loop;
	return loop_init(&loop);
}

static int teardown(void **state)
{
	loop_exit(*state);
	return 0;
}

// A post that counts its calls and stops the loop at a certain one.
struct counter {
	struct loop_post post;
	struct loop *loop;
	atomic_uint calls;
	unsigned stop_at;
};

static void count_call(struct loop_post *post)
{
	struct counter *counter = container_of(post, struct counter, post);

	if (++counter->calls == counter->stop_at)
		loop_stop(counter->loop);
}

static void test_a_cancelled_post_is_forgotten(void **state)
{
	struct loop *loop = *state;
	struct counter posts[4];

	for (unsigned cancelled = 0; cancelled < ARRAY_SIZE(posts); cancelled++) {
		for (unsigned i = 0; i < ARRAY_SIZE(posts); i++) {
			posts[i] = (struct counter){ .post.call = count_call, .loop = loop };
			loop_post(loop, &posts[i].post);
		}
		loop_cancel_post(loop, &posts[cancelled].post);
		loop_cancel_post(loop, &posts[cancelled].post); // once more: nothing
		loop_stop(loop);
		loop_run(loop);
		for (unsigned i = 0; i < ARRAY_SIZE(posts); i++)
			assert_int_equal(posts[i].calls, i != cancelled);
	}
}

static void test_posts_coalesce_and_run_before_a_stop(void **state)
{
	struct loop *loop = *state;
	struct counter counter = { .post.call = count_call, .loop = loop };

	loop_post(loop, &counter.post);
	loop_post(loop, &counter.post);
	loop_stop(loop);
	loop_run(loop);
	assert_int_equal(counter.calls, 1);
	loop_post(loop, &counter.post);
	loop_stop(loop);
	loop_run(loop); // it runs again after a stop
	assert_int_equal(counter.calls, 2);
}

struct order {
	struct loop_post post;
	char *log;
	char name;
	struct loop *loop;
	struct loop_post *then;
};

static void log_order(struct loop_post *post)
{
	struct order *order = container_of(post, struct order, post);

	strncat(order->log, &order->name, 1);
	if (order->then)
		loop_post(order->loop, order->then);
}

static void test_posts_run_in_order(void **state)
{
	struct loop *loop = *state;
	char log[8] = "";
	struct order c = { { log_order }, log, 'c', loop, NULL };
	struct order b = { { log_order }, log, 'b', loop, NULL };
	struct order a = { { log_order }, log, 'a', loop, &c.post };
	struct counter stop = { .post.call = count_call, .loop = loop, .stop_at = 1 };

	loop_post(loop, &a.post);
	loop_post(loop, &b.post);
	loop_post(loop, &stop.post);
	loop_run(loop);
	// c was posted by a, while b was waiting, and before the stop.
	assert_string_equal(log, "abc");
}

static void post_again(struct loop_post *post)
{
	struct counter *counter = container_of(post, struct counter, post);

	counter->calls++;
	loop_post(counter->loop, post);
}

static void count_byte(struct loop_fd *lfd, uint32_t epoll_events);

// A pipe whose readable end is watched.
struct source {
	struct loop_fd lfd;
	int write_fd;
	struct loop *loop;
	unsigned calls;
	unsigned stop_at;
	struct source *removes; // removed and poisoned in the callback
};

static void source_init(struct source *source, struct loop *loop)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	*source = (struct source){
		.lfd = { .fd = fds[0], .ready = count_byte },
		.write_fd = fds[1],
		.loop = loop,
	};
	assert_int_equal(loop_add_fd(loop, &source->lfd, EPOLLIN), 0);
}

static void source_exit(struct source *source)
{
	close(source->lfd.fd);
	close(source->write_fd);
}

static void source_fill(struct source *source)
{
	assert_int_equal(write(source->write_fd, "x", 1), 1);
}

static void count_byte(struct loop_fd *lfd, uint32_t epoll_events)
{
	struct source *source = container_of(lfd, struct source, lfd);
	char byte;

	assert_true(epoll_events & EPOLLIN);
	assert_int_equal(read(lfd->fd, &byte, 1), 1);
	if (source->removes) {
		loop_remove_fd(source->loop, &source->removes->lfd);
		source->removes->lfd.ready = NULL; // as if it were freed
	}
	if (++source->calls == source->stop_at)
		loop_stop(source->loop);
}

static void test_reposting_does_not_starve_descriptors(void **state)
{
	struct loop *loop = *state;
	struct counter busy = { .post.call = post_again, .loop = loop };
	struct source source;

	source_init(&source, loop);
	source.stop_at = 3;
	for (int i = 0; i < 3; i++)
		source_fill(&source);
	loop_post(loop, &busy.post);
	loop_run(loop);
	assert_int_equal(source.calls, 3);
	source_exit(&source);
}

static void *post_many(void *arg)
{
	struct counter *counter = arg;

	for (int i = 0; i < 2000; i++) {
		unsigned before = counter->calls;

		loop_post(counter->loop, &counter->post);
		while (i % 100 == 0 && counter->calls == before)
			sched_yield(); // the loop must have woken up for it
	}
	return NULL;
}

static void test_posts_from_threads_wake_the_loop(void **state)
{
	struct counter counters[4];
	pthread_t threads[4];
	struct loop *loop = *state;

	assert_int_equal(loop_start_thread(loop, "test-loop-with-a-long-name"), 0);
	for (int i = 0; i < 4; i++) {
		counters[i] = (struct counter){ .post.call = count_call, .loop = loop };
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, &counters[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	loop_stop_thread(loop);
	for (int i = 0; i < 4; i++)
		assert_in_range(counters[i].calls, 20, 2000);
}

struct where {
	pthread_t thread;
	char name[16];
	unsigned calls;
};

static void note_where(void *arg)
{
	struct where *where = arg;

	where->thread = pthread_self();
	pthread_getname_np(pthread_self(), where->name, sizeof(where->name));
	where->calls++;
}

static void test_call_waits_and_runs_on_the_loop(void **state)
{
	struct loop *loop = *state;
	struct where where = { .calls = 0 };

	assert_int_equal(loop_start_thread(loop, "test-loop"), 0);
	for (unsigned i = 0; i < 100; i++) {
		loop_call(loop, note_where, &where);
		assert_int_equal(where.calls, i + 1);
	}
	assert_true(pthread_equal(where.thread, loop->thread));
	assert_string_equal(where.name, "test-loop");
	loop_stop_thread(loop);
	loop_stop_thread(loop); // harmless
}

static void note_signals(void *arg)
{
	pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void test_loop_thread_takes_no_signals(void **state)
{
	struct loop *loop = *state;
	sigset_t blocked;

	assert_int_equal(loop_start_thread(loop, "test-loop"), 0);
	loop_call(loop, note_signals, &blocked);
	loop_stop_thread(loop);
	assert_true(sigismember(&blocked, SIGTERM));
	assert_true(sigismember(&blocked, SIGALRM));
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGTERM));
}

static void test_readable_descriptor(void **state)
{
	struct source source;

	source_init(&source, *state);
	source.stop_at = 2;
	source_fill(&source);
	source_fill(&source);
	loop_run(*state);
	assert_int_equal(source.calls, 2);
	source_exit(&source);
}

static void test_removal_within_a_batch(void **state)
{
	struct loop *loop = *state;
	struct source a, b;

	source_init(&a, loop);
	source_init(&b, loop);
	// Both are ready in one batch; whichever comes first removes the other.
	a.removes = &b;
	b.removes = &a;
	a.stop_at = b.stop_at = 1;
	source_fill(&a);
	source_fill(&b);
	loop_run(loop);
	assert_int_equal(a.calls + b.calls, 1);
	source_exit(&a);
	source_exit(&b);
}

static void mute_other(struct loop_fd *lfd, uint32_t epoll_events)
{
	struct source *source = container_of(lfd, struct source, lfd);

	source->calls++;
	loop_modify_fd(source->loop, &source->removes->lfd, 0);
	loop_stop(source->loop);
}

static void test_modification_within_a_batch(void **state)
{
	struct loop *loop = *state;
	struct source a, b;

	source_init(&a, loop);
	source_init(&b, loop);
	a.removes = &b;
	b.removes = &a;
	a.lfd.ready = b.lfd.ready = mute_other;
	source_fill(&a);
	source_fill(&b);
	loop_run(loop);
	assert_int_equal(a.calls + b.calls, 1);
	source_exit(&a);
	source_exit(&b);
}

static void test_removed_descriptor_is_silent(void **state)
{
	struct loop *loop = *state;
	struct source gone, kept;

	source_init(&gone, loop);
	source_init(&kept, loop);
	loop_remove_fd(loop, &gone.lfd);
	kept.stop_at = 1;
	source_fill(&gone);
	source_fill(&kept);
	loop_run(loop);
	assert_int_equal(gone.calls, 0);
	source_exit(&gone);
	source_exit(&kept);
}

static void test_files_are_refused_as_always_ready(void **state)
{
	struct loop_fd lfd = { .fd = open("/dev/null", O_RDWR), .ready = count_byte };
	FILE *file = tmpfile();

	assert_int_equal(loop_add_fd(*state, &lfd, EPOLLIN), -EPERM);
	close(lfd.fd);
	lfd.fd = fileno(file);
	assert_int_equal(loop_add_fd(*state, &lfd, EPOLLIN), -EPERM);
	fclose(file);
	lfd.fd = 1000000;
	assert_int_equal(loop_add_fd(*state, &lfd, EPOLLIN), -EBADF);
}

// A timer that logs its name and the time.
struct alarm {
	struct loop_timer timer;
	struct loop *loop;
	char name;
	char *log;
	uint64_t fired_ns;
	bool stop;
	unsigned rearm; // for now, so many times
	struct alarm *disarms;
};

static void ring(struct loop_timer *timer)
{
	struct alarm *ringing = container_of(timer, struct alarm, timer);

	assert_int_equal(timer->deadline_ns, 0);
	ringing->fired_ns = clock_monotonic_ns();
	strncat(ringing->log, &ringing->name, 1);
	if (ringing->disarms)
		loop_disarm_timer(ringing->loop, &ringing->disarms->timer);
	if (ringing->rearm) {
		ringing->rearm--;
		loop_arm_timer(ringing->loop, timer, clock_monotonic_ns());
	}
	if (ringing->stop)
		loop_stop(ringing->loop);
}

static void test_timers_fire_in_order_and_not_early(void **state)
{
	struct loop *loop = *state;
	char log[8] = "";
	struct alarm a = { { ring }, loop, 'a', log };
	struct alarm b = { { ring }, loop, 'b', log };
	struct alarm c = { { ring }, loop, 'c', log, .stop = true };
	uint64_t now = clock_monotonic_ns();

	loop_arm_timer(loop, &c.timer, now + 12 * MSEC);
	loop_arm_timer(loop, &a.timer, now + 900 * MSEC);
	loop_arm_timer(loop, &b.timer, now + 5 * MSEC + 1);
	loop_arm_timer(loop, &a.timer, now + 3 * MSEC); // re-armed
	loop_run(loop);
	assert_string_equal(log, "abc");
	assert_true(a.fired_ns >= now + 3 * MSEC);
	assert_true(b.fired_ns >= now + 5 * MSEC + 1);
	assert_true(c.fired_ns >= now + 12 * MSEC);
	assert_null(loop->timers);
}

static void test_equal_deadlines_fire_as_armed(void **state)
{
	struct loop *loop = *state;
	char log[8] = "";
	struct alarm a = { { ring }, loop, 'a', log };
	struct alarm b = { { ring }, loop, 'b', log };
	struct alarm c = { { ring }, loop, 'c', log, .stop = true };

	loop_arm_timer(loop, &a.timer, 0); // long ago
	loop_arm_timer(loop, &b.timer, 1);
	loop_arm_timer(loop, &c.timer, 1);
	loop_run(loop);
	assert_string_equal(log, "abc");
}

static void test_disarmed_timer_does_not_fire(void **state)
{
	struct loop *loop = *state;
	char log[8] = "";
	struct alarm b = { { ring }, loop, 'b', log };
	struct alarm a = { { ring }, loop, 'a', log, .disarms = &b };
	struct alarm c = { { ring }, loop, 'c', log, .stop = true };

	loop_disarm_timer(loop, &b.timer); // not armed: nothing happens
	loop_arm_timer(loop, &a.timer, 1);
	loop_arm_timer(loop, &b.timer, 2);
	loop_arm_timer(loop, &c.timer, 3);
	loop_run(loop);
	assert_string_equal(log, "ac");
}

static void test_timer_armed_for_now_does_not_starve_descriptors(void **state)
{
	struct loop *loop = *state;
	char log[16] = "";
	struct alarm busy = { { ring }, loop, 'x', log, .rearm = 10 };
	struct source source;

	source_init(&source, loop);
	source.stop_at = 1;
	source_fill(&source);
	loop_arm_timer(loop, &busy.timer, 1);
	loop_run(loop);
	assert_int_equal(source.calls, 1);
	assert_true(busy.rearm > 5);
	source_exit(&source);
}

// A thread that needs the loop before it sets what the loop waits for.
struct needy {
	struct loop *loop;
	struct where where;
	atomic_bool finished;
};

static void *call_then_finish(void *arg)
{
	struct needy *needy = arg;

	for (int i = 0; i < 50; i++)
		loop_call(needy->loop, note_where, &needy->where);
	needy->finished = true;
	loop_wake(needy->loop);
	return NULL;
}

static void test_waiting_serves_posts(void **state)
{
	struct needy needy = { .loop = *state };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_then_finish, &needy), 0);
	while (!needy.finished)
		loop_wait_posts(*state);
	pthread_join(thread, NULL);
	assert_int_equal(needy.where.calls, 50);
}

static void test_waiting_does_not_swallow_a_stop(void **state)
{
	struct loop *loop = *state;
	struct counter counter = { .post.call = count_call, .loop = loop };

	loop_post(loop, &counter.post);
	loop_stop(loop);
	loop_wait_posts(loop);
	assert_int_equal(counter.calls, 1);
	loop_run(loop); // returns at once
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_posts_coalesce_and_run_before_a_stop),
		TEST(test_a_cancelled_post_is_forgotten),
		TEST(test_posts_run_in_order),
		TEST(test_reposting_does_not_starve_descriptors),
		TEST(test_posts_from_threads_wake_the_loop),
		TEST(test_call_waits_and_runs_on_the_loop),
		TEST(test_loop_thread_takes_no_signals),
		TEST(test_readable_descriptor),
		TEST(test_removal_within_a_batch),
		TEST(test_modification_within_a_batch),
		TEST(test_removed_descriptor_is_silent),
		TEST(test_files_are_refused_as_always_ready),
		TEST(test_timers_fire_in_order_and_not_early),
		TEST(test_equal_deadlines_fire_as_armed),
		TEST(test_disarmed_timer_does_not_fire),
		TEST(test_timer_armed_for_now_does_not_starve_descriptors),
		TEST(test_waiting_serves_posts),
		TEST(test_waiting_does_not_swallow_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
