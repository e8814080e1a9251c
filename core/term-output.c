// SPDX-License-Identifier: GPL-2.0-or-later
// Console output on its way out: a bounded ring, what was printed last, panics.

#include "term-output.h"

#include <string.h>

// kernel/panic.c prints it whatever the configuration. Its first letter does not
// occur again in it: after a mismatch a match can only start anew.
static const char panic_text[] = "Kernel panic - not syncing";

static void match_panic(struct term_output *output, char c)
{
	if (c != panic_text[output->panic_matched])
		output->panic_matched = 0;
	if (c == panic_text[output->panic_matched])
		output->panic_matched++;
	if (!panic_text[output->panic_matched]) {
		output->saw_panic = true;
		output->panic_matched = 0;
	}
}

void term_output_note(struct term_output *output, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		output->history[output->history_total++ % TERM_OUTPUT_HISTORY_BYTES] = data[i];
		match_panic(output, data[i]);
	}
}

size_t term_output_put(struct term_output *output, const uint8_t *data, size_t len)
{
	size_t end = (output->ring_start + output->ring_count) % TERM_OUTPUT_RING_BYTES;
	size_t taken = MIN(len, TERM_OUTPUT_RING_BYTES - output->ring_count);
	size_t until_wrap = MIN(taken, TERM_OUTPUT_RING_BYTES - end);

	memcpy(output->ring + end, data, until_wrap);
	memcpy(output->ring, data + until_wrap, taken - until_wrap);
	output->ring_count += taken;
	term_output_note(output, data, taken);
	return taken;
}

size_t term_output_peek(const struct term_output *output, uint8_t *data, size_t size)
{
	size_t len = MIN(size, output->ring_count);
	size_t until_wrap = MIN(len, TERM_OUTPUT_RING_BYTES - output->ring_start);

	memcpy(data, output->ring + output->ring_start, until_wrap);
	memcpy(data + until_wrap, output->ring, len - until_wrap);
	return len;
}

void term_output_drop(struct term_output *output, size_t len)
{
	output->ring_start = (output->ring_start + len) % TERM_OUTPUT_RING_BYTES;
	output->ring_count -= len;
	if (!output->ring_count) // of little output the memory is always the same
		output->ring_start = 0;
}

// The newest @len bytes; at most what is kept.
static void copy_newest(const struct term_output *output, char *text, size_t len)
{
	uint64_t from = output->history_total - len;

	for (size_t i = 0; i < len; i++)
		text[i] = output->history[(from + i) % TERM_OUTPUT_HISTORY_BYTES];
}

size_t term_output_last(const struct term_output *output, char *text, size_t size)
{
	size_t len = MIN(output->history_total, TERM_OUTPUT_HISTORY_BYTES);
	char *line;

	len = MIN(len, size - 1);
	copy_newest(output, text, len);
	text[len] = 0;
	if (len == output->history_total)
		return len;
	// The first line has most likely lost its beginning.
	line = memchr(text, '\n', len);
	if (!line)
		return len;
	len -= line + 1 - text;
	memmove(text, line + 1, len + 1);
	return len;
}
