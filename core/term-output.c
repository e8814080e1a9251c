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

static size_t kept(const struct term_output *output)
{
	return MIN(output->history_total, TERM_OUTPUT_HISTORY_BYTES);
}

// What is kept from position @from on.
static void copy_history(const struct term_output *output, uint64_t from, void *to, size_t len)
{
	size_t start = from % TERM_OUTPUT_HISTORY_BYTES;
	size_t until_wrap = MIN(len, TERM_OUTPUT_HISTORY_BYTES - start);

	memcpy(to, output->history + start, until_wrap);
	memcpy((uint8_t *)to + until_wrap, output->history, len - until_wrap);
}

size_t term_output_last(const struct term_output *output, char *text, size_t size)
{
	size_t len = MIN(kept(output), size - 1);
	char *line;

	copy_history(output, output->history_total - len, text, len);
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

uint64_t term_output_recall(const struct term_output *output, size_t len)
{
	uint64_t at = output->history_total - MIN(kept(output), len);

	if (!at)
		return 0;
	for (uint64_t line = at; line < output->history_total; line++)
		if (output->history[line % TERM_OUTPUT_HISTORY_BYTES] == '\n')
			return line + 1;
	return at;
}

// Whoever falls behind skips to the middle of what is kept: at its beginning he would be
// too late again at once.
static void skip_lost(const struct term_output *output, struct term_view *view)
{
	uint64_t oldest = output->history_total - kept(output);

	if (view->position >= oldest)
		return;
	oldest += kept(output) / 2;
	view->lost += oldest - view->position;
	view->position = oldest;
}

size_t term_output_look(const struct term_output *output, struct term_view *view, uint8_t *data,
			size_t size)
{
	size_t len;

	skip_lost(output, view);
	len = MIN(size, output->history_total - view->position);
	copy_history(output, view->position, data, len);
	return len;
}
