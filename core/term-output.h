// SPDX-License-Identifier: GPL-2.0-or-later
// Console output on its way out: a bounded ring, what was printed last, panics.
//
// Plain data without a lock: struct term guards it.
#ifndef KVIK_TERM_OUTPUT_H
#define KVIK_TERM_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "term.h"
#include "util.h"

#define TERM_OUTPUT_RING_BYTES (64 * KIB)
// Remembered for a crash report, and for viewers who are slow.
#define TERM_OUTPUT_HISTORY_BYTES (256 * KIB)

// Zero-initialise, but for the ring and the history.
struct term_output {
	uint8_t *ring;    // TERM_OUTPUT_RING_BYTES, whoever owns this
	uint8_t *history; // TERM_OUTPUT_HISTORY_BYTES, the same
	size_t ring_start;
	size_t ring_count;
	uint64_t history_total; // bytes noted ever; the newest are kept
	size_t panic_matched;   // how much of the panic message the last bytes were
	bool saw_panic;
};

// Takes what fits of @len bytes and returns how many.
size_t term_output_put(struct term_output *output, const uint8_t *data, size_t len);
// Remembers bytes that go nowhere.
void term_output_note(struct term_output *output, const uint8_t *data, size_t len);
// Copies the oldest bytes of the ring, at most @size, and returns how many.
size_t term_output_peek(const struct term_output *output, uint8_t *data, size_t size);
// Takes the oldest @len bytes off the ring.
void term_output_drop(struct term_output *output, size_t len);
// As term_last_output().
size_t term_output_last(const struct term_output *output, char *text, size_t size);

// A position counts the bytes that were noted before it.
// Where the last whole lines begin that make up at most @len bytes.
uint64_t term_output_recall(const struct term_output *output, size_t len);
// As term_look().
size_t term_output_look(const struct term_output *output, struct term_view *view, uint8_t *data,
			size_t size);

#endif
