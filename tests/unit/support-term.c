// SPDX-License-Identifier: GPL-2.0-or-later
// A console under test: its loop, a frontend that records, and descriptors.

#include "support-term.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "util.h"

#include <cmocka.h>

#define ROUND_MS 2
#define ROUNDS_MAX (5000 / ROUND_MS)

static size_t record_input(void *opaque, const uint8_t *data, size_t len)
{
	struct term_rig *rig = opaque;
	size_t limit = MIN(rig->input_limit, sizeof(rig->input));
	size_t taken = MIN(len, limit - rig->input_len);

	memcpy(rig->input + rig->input_len, data, taken);
	rig->input_len += taken;
	return taken;
}

static void record_output_ready(void *opaque)
{
	struct term_rig *rig = opaque;

	rig->output_ready_calls++;
}

static void record_size(void *opaque, unsigned columns, unsigned rows)
{
	struct term_rig *rig = opaque;

	rig->columns = columns;
	rig->rows = rows;
	rig->resized_calls++;
}

static void record_quit(void *opaque)
{
	struct term_rig *rig = opaque;

	rig->quit_calls++;
}

static void end_round(struct loop_timer *timer)
{
	loop_stop(&container_of(timer, struct term_rig, timer)->loop);
}

void term_rig_init(struct term_rig *rig, int in_fd, int out_fd)
{
	struct term_events events = { .quit = record_quit, .opaque = rig };

	memset(rig, 0, sizeof(*rig));
	rig->input_limit = SIZE_MAX;
	rig->timer.expired = end_round;
	assert_int_equal(loop_init(&rig->loop), 0);
	assert_int_equal(term_create(&rig->term, &rig->loop, in_fd, out_fd, events), 0);
}

void term_rig_start(struct term_rig *rig, int in_fd, int out_fd)
{
	struct term_frontend frontend = {
		.input = record_input,
		.output_ready = record_output_ready,
		.resized = record_size,
		.opaque = rig,
	};

	term_rig_init(rig, in_fd, out_fd);
	term_connect(rig->term, &frontend);
	assert_int_equal(term_start(rig->term), 0);
}

void term_rig_exit(struct term_rig *rig)
{
	term_free(rig->term);
	loop_exit(&rig->loop);
}

void term_rig_run(struct term_rig *rig, unsigned ms)
{
	loop_arm_timer(&rig->loop, &rig->timer, clock_monotonic_ns() + ms * NSEC_PER_MSEC);
	loop_run(&rig->loop);
}

void term_rig_await_input(struct term_rig *rig, size_t len)
{
	for (unsigned i = 0; rig->input_len < len; i++) {
		assert_in_range(i, 0, ROUNDS_MAX);
		term_rig_run(rig, ROUND_MS);
	}
}

void term_rig_await(struct term_rig *rig, const unsigned *counter, unsigned value)
{
	for (unsigned i = 0; *counter < value; i++) {
		assert_in_range(i, 0, ROUNDS_MAX);
		term_rig_run(rig, ROUND_MS);
	}
}

size_t term_rig_print(struct term_rig *rig, const char *text)
{
	return term_write(rig->term, (const uint8_t *)text, strlen(text));
}
