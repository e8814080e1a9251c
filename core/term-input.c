// SPDX-License-Identifier: GPL-2.0-or-later
// The console's input: from the user through the escape key to the frontend, and what
// viewers type.
//
// Bytes are read while there is room for them and offered to the frontend; what it
// does not take waits, also for term_read(). The descriptor leaves the epoll set
// while nothing may be read from it, since a hang-up is reported whatever is asked.

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "log.h"
#include "term-priv.h"

// -- waiting bytes --

size_t term_input_room(struct term_input *input)
{
	if (!input->offering && input->start) {
		memmove(input->data, input->data + input->start, input->end - input->start);
		input->end -= input->start;
		input->start = 0;
	}
	return input->size - input->end;
}

static size_t lock_and_find_room(struct term *term)
{
	size_t room;

	pthread_mutex_lock(&term->lock);
	room = term_input_room(&term->input);
	term->input.full = !room;
	pthread_mutex_unlock(&term->lock);
	return room;
}

static void append_input(struct term *term, const uint8_t *data, size_t len)
{
	struct term_input *input = &term->input;

	pthread_mutex_lock(&term->lock);
	memcpy(input->data + input->end, data, len);
	input->end += len;
	pthread_mutex_unlock(&term->lock);
}

// Somebody has taken @len bytes. term->lock is held.
static void release_input(struct term *term, struct term_input *input, size_t len)
{
	input->start += len;
	if (!len || !input->full)
		return;
	if (input == &term->typed)
		term_tell_viewers(term);
	else
		loop_post(term->loop, &term->input_post);
}

// Without the lock while the frontend works: it takes its device's lock, and
// devices call term_write() under that. Bytes are only added behind these.
static void offer_source(struct term *term, struct term_input *input)
{
	size_t taken, len;

	pthread_mutex_lock(&term->lock);
	len = term->frontend.input ? input->end - input->start : 0;
	input->offering = len;
	pthread_mutex_unlock(&term->lock);
	if (!len)
		return;

	taken = term->frontend.input(term->frontend.opaque, input->data + input->start, len);

	pthread_mutex_lock(&term->lock);
	input->offering = false;
	release_input(term, input, MIN(taken, len));
	pthread_mutex_unlock(&term->lock);
}

static void offer_input(struct term *term)
{
	offer_source(term, &term->input);
	offer_source(term, &term->typed);
}

// term->lock is held.
static size_t take_input(struct term *term, struct term_input *input, uint8_t *data, size_t len)
{
	size_t taken = input->offering ? 0 : MIN(len, input->end - input->start);

	memcpy(data, input->data + input->start, taken);
	release_input(term, input, taken);
	return taken;
}

size_t term_read(struct term *term, uint8_t *data, size_t len)
{
	size_t taken;

	pthread_mutex_lock(&term->lock);
	taken = take_input(term, &term->input, data, len);
	taken += take_input(term, &term->typed, data + taken, len - taken);
	pthread_mutex_unlock(&term->lock);
	return taken;
}

// -- reading --

// Whoever presses the key looks at the terminal; messages may go to a log.
static void show_help(const struct term *term)
{
	const char *text = term_escape_help(term->events.quit, term->events.detach);
	int fd = isatty(STDERR_FILENO) ? STDERR_FILENO : term->tty.fd;
	ssize_t n = write(fd, text, strlen(text));

	(void)n; // he can press it again
}

static void press_key(struct term *term, enum term_key key)
{
	const struct term_events *events = &term->events;

	if (key == TERM_KEY_QUIT && events->quit)
		events->quit(events->opaque);
	else if (key == TERM_KEY_DETACH && events->detach)
		events->detach(events->opaque);
	else if (key != TERM_KEY_NONE)
		show_help(term);
}

// Acts on the escape key and leaves in @data what the guest gets; returns its length.
static size_t filter_keys(struct term *term, uint8_t *data, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		enum term_key key = term_escape_key(&term->escape, data[i]);

		if (key == TERM_KEY_GUEST)
			data[kept++] = data[i];
		else
			press_key(term, key);
	}
	return kept;
}

static void read_input(struct term *term)
{
	uint8_t data[TERM_INPUT_BYTES];
	size_t room = lock_and_find_room(term);
	ssize_t n;

	if (!room)
		return;
	n = read(term->in.fd, data, MIN(room, sizeof(data)));
	if (n > 0)
		append_input(term, data, term->is_tty ? filter_keys(term, data, n) : (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		term->in_ended = true; // the guest runs on without input
}

// What the frontend has not taken is not ended.
static void tell_end(struct term *term)
{
	bool empty;

	if (!term->in_ended || term->end_told || !term->events.ended)
		return;
	pthread_mutex_lock(&term->lock);
	empty = term->input.start == term->input.end;
	pthread_mutex_unlock(&term->lock);
	if (!empty)
		return;
	term->end_told = true;
	term->events.ended(term->events.opaque);
}

static void input_ready(struct loop_fd *self, uint32_t epoll_events)
{
	struct term *term = container_of(self, struct term, in);

	// Reading another job's terminal would stop the VM with SIGTTIN.
	if (term->is_tty && !term_tty_foreground(&term->tty))
		term_follow_job(term);
	else
		read_input(term);
	offer_input(term);
	term_input_update(term);
	tell_end(term);
}

void term_input_serve(struct loop_post *post)
{
	struct term *term = container_of(post, struct term, input_post);

	if (!term->started)
		return;
	if (term->in_always_ready && !term->in_ended)
		read_input(term);
	offer_input(term);
	term_input_update(term);
	tell_end(term);
}

// -- watching --

void term_input_unwatch(struct term *term)
{
	if (term->in_watched)
		loop_remove_fd(term->loop, &term->in);
	term->in_watched = false;
}

// 0, also for a descriptor that is always ready; or -errno after a message.
static int watch_input(struct term *term)
{
	int ret = loop_add_fd(term->loop, &term->in, EPOLLIN);

	term->in_watched = !ret;
	term->in_always_ready = ret == -EPERM;
	if (term->in_always_ready)
		loop_post(term->loop, &term->input_post);
	return term->in_always_ready ? 0 : ret;
}

void term_input_update(struct term *term)
{
	bool wanted = !term->in_ended && !term->background && lock_and_find_room(term);

	if (!wanted)
		term_input_unwatch(term);
	else if (term->in_always_ready)
		loop_post(term->loop, &term->input_post);
	else if (!term->in_watched && watch_input(term))
		term->in_ended = true;
}

int term_input_start(struct term *term)
{
	term->in.ready = input_ready;
	loop_post(term->loop, &term->input_post); // what viewers typed before
	if (term->in.fd < 0) {
		term->in_ended = term->end_told = true;
		return 0;
	}
	return term->background ? 0 : watch_input(term);
}
