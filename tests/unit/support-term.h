// SPDX-License-Identifier: GPL-2.0-or-later
// A console under test: its loop, a frontend that records, and descriptors.
#ifndef KVIK_SUPPORT_TERM_H
#define KVIK_SUPPORT_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "term.h"

struct term_rig {
	struct loop loop;
	struct term *term;
	// What the frontend saw.
	uint8_t input[128 * 1024];
	size_t input_len;
	size_t input_limit; // takes no more than that in all
	unsigned output_ready_calls;
	unsigned resized_calls;
	unsigned columns;
	unsigned rows;
	unsigned quit_calls;
	struct loop_timer timer;
};

// Makes the loop and a console on the descriptors; the frontend takes everything.
void term_rig_init(struct term_rig *rig, int in_fd, int out_fd);
// The same, connected and started.
void term_rig_start(struct term_rig *rig, int in_fd, int out_fd);
void term_rig_exit(struct term_rig *rig);

// Runs the loop for @ms.
void term_rig_run(struct term_rig *rig, unsigned ms);
// Runs the loop until the frontend has @len bytes; fails the test after 5 s.
void term_rig_await_input(struct term_rig *rig, size_t len);
// Runs the loop until *@counter is at least @value; fails the test after 5 s.
void term_rig_await(struct term_rig *rig, const unsigned *counter, unsigned value);

// term_write() of a string; returns how much was taken.
size_t term_rig_print(struct term_rig *rig, const char *text);

// A number that the i-th byte of a test's stream has.
static inline uint8_t pattern_byte(size_t i)
{
	return i * 7 + i / 251;
}

#endif
