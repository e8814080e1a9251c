// SPDX-License-Identifier: GPL-2.0-or-later
// What viewers on other threads see of the console, and what they type.

#include "term-priv.h"

#include <string.h>

void term_tell_viewers(struct term *term)
{
	if (term->watch_loop)
		loop_post(term->watch_loop, term->watch_post);
}

void term_watch(struct term *term, struct loop *loop, struct loop_post *post)
{
	pthread_mutex_lock(&term->lock);
	term->watch_loop = loop;
	term->watch_post = post;
	term_tell_viewers(term);
	pthread_mutex_unlock(&term->lock);
}

struct term_view term_recall(struct term *term, size_t len)
{
	struct term_view view = { 0 };

	pthread_mutex_lock(&term->lock);
	view.position = term_output_recall(&term->output, len);
	pthread_mutex_unlock(&term->lock);
	return view;
}

size_t term_look(struct term *term, struct term_view *view, uint8_t *data, size_t size)
{
	size_t len;

	pthread_mutex_lock(&term->lock);
	len = term_output_look(&term->output, view, data, size);
	pthread_mutex_unlock(&term->lock);
	return len;
}

size_t term_type(struct term *term, const uint8_t *data, size_t len)
{
	struct term_input *typed = &term->typed;
	size_t taken;

	pthread_mutex_lock(&term->lock);
	taken = MIN(len, term_input_room(typed));
	typed->full = taken < len;
	memcpy(typed->data + typed->end, data, taken);
	typed->end += taken;
	if (taken)
		loop_post(term->loop, &term->input_post);
	pthread_mutex_unlock(&term->lock);
	return taken;
}
