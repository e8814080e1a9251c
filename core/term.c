// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's console on kvik's stdin and stdout: life, output, signals.
//
// Output: term_write() fills the ring and posts to the main loop when it was empty.
// The main loop writes pieces that poll(2) says cannot block, watches the
// descriptor while they would, and tells the frontend when half the ring is free.
// The descriptors stay blocking, since that flag is shared with other processes.

#include "term.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/ttydefaults.h>
#include <unistd.h>

#include "log.h"
#include "term-priv.h"

// A pipe that is writable takes that much without blocking (pipe(7)).
#define CHUNK_BYTES PIPE_BUF
#define CHUNKS_PER_ROUND 16 // then others on the loop have their turn

// -- output, any thread --

size_t term_write(struct term *term, const uint8_t *data, size_t len)
{
	struct term_output *output = &term->output;
	size_t taken = len;

	pthread_mutex_lock(&term->lock);
	if (term->discard) {
		term_output_note(output, data, len);
		term_tell_viewers(term);
	} else {
		bool was_empty = !output->ring_count;

		taken = term_output_put(output, data, len);
		if (taken < len)
			term->output_waits = true;
		if (was_empty && taken)
			loop_post(term->loop, &term->output_post);
		if (taken)
			term_tell_viewers(term);
	}
	pthread_mutex_unlock(&term->lock);
	return taken;
}

bool term_writable(struct term *term)
{
	bool yes;

	pthread_mutex_lock(&term->lock);
	yes = term->discard || term->output.ring_count < TERM_OUTPUT_RING_BYTES;
	if (!yes)
		term->output_waits = true; // who asked wants to know when
	pthread_mutex_unlock(&term->lock);
	return yes;
}

void term_input_ready(struct term *term)
{
	loop_post(term->loop, &term->input_post);
}

// -- output, main loop --

static size_t peek_output(struct term *term, uint8_t *chunk, size_t size)
{
	size_t len;

	pthread_mutex_lock(&term->lock);
	len = term_output_peek(&term->output, chunk, size);
	pthread_mutex_unlock(&term->lock);
	return len;
}

// Takes at most @len bytes off the ring, and tells the frontend of the room if it
// waits for that.
static void drop_output(struct term *term, size_t len)
{
	struct term_output *output = &term->output;
	bool tell;

	pthread_mutex_lock(&term->lock);
	term_output_drop(output, MIN(len, output->ring_count));
	tell = term->output_waits && output->ring_count <= TERM_OUTPUT_RING_BYTES / 2;
	if (tell)
		term->output_waits = false;
	pthread_mutex_unlock(&term->lock);
	if (tell && term->frontend.output_ready)
		term->frontend.output_ready(term->frontend.opaque);
}

// From now on output is remembered for a crash report, and goes nowhere.
static void discard_output(struct term *term)
{
	pthread_mutex_lock(&term->lock);
	term->discard = true;
	pthread_mutex_unlock(&term->lock);
}

static void output_failed(struct term *term, int errnum)
{
	bool reader_left = errnum == EPIPE || errnum == EIO;

	if (reader_left && !term->events.unread)
		info("console: nobody reads the output any more; it is dropped");
	else if (!reader_left)
		warn("console: write output: %s; it is dropped from now on", strerror(errnum));
	discard_output(term);
	drop_output(term, SIZE_MAX);
	if (term->events.unread)
		term->events.unread(term->events.opaque, !reader_left);
}

// Writes one piece if that is possible within @timeout_ms. Returns 1; 0 if there
// is none or nobody to read it; -EAGAIN if it would block.
static int write_chunk(struct term *term, int timeout_ms)
{
	struct pollfd out = { .fd = term->out.fd, .events = POLLOUT };
	uint8_t chunk[CHUNK_BYTES];
	size_t len = peek_output(term, chunk, sizeof(chunk));
	ssize_t n;

	if (!len)
		return 0;
	if (poll(&out, 1, timeout_ms) <= 0)
		return -EAGAIN;
	n = write(term->out.fd, chunk, len);
	if (n >= 0) {
		drop_output(term, n);
		return 1;
	}
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	output_failed(term, errno);
	return 0;
}

static void watch_output(struct term *term, bool wanted)
{
	int ret = 0;

	if (wanted && !term->out_watched)
		ret = loop_add_fd(term->loop, &term->out, EPOLLOUT);
	else if (!wanted && term->out_watched)
		loop_remove_fd(term->loop, &term->out);
	term->out_watched = wanted && !ret;
	if (ret)
		output_failed(term, -ret);
}

static void drain_output(struct term *term)
{
	int ret = 1;

	for (unsigned i = 0; i < CHUNKS_PER_ROUND && ret == 1; i++)
		ret = write_chunk(term, 0);
	watch_output(term, ret == -EAGAIN);
	if (ret == 1)
		loop_post(term->loop, &term->output_post);
}

static void output_ready(struct loop_fd *self, uint32_t epoll_events)
{
	drain_output(container_of(self, struct term, out));
}

static void serve_output(struct loop_post *post)
{
	struct term *term = container_of(post, struct term, output_post);

	if (term->started)
		drain_output(term);
}

// Writes what is in the ring, and takes no more into it.
static void flush_output(struct term *term, unsigned timeout_ms)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t deadline = now + timeout_ms * NSEC_PER_MSEC;
	int ret = 1;

	discard_output(term);
	while (ret == 1 || (ret == -EAGAIN && now < deadline)) {
		ret = write_chunk(term, deadline > now ? (deadline - now) / NSEC_PER_MSEC : 0);
		now = clock_monotonic_ns();
	}
	drop_output(term, SIZE_MAX);
}

// -- the terminal --

#define BACKGROUND_CHECK_NS (500 * NSEC_PER_MSEC)

static void check_background(struct loop_timer *timer)
{
	struct term *term = container_of(timer, struct term, background_check);

	term_follow_job(term);
	term_input_update(term);
}

void term_follow_job(struct term *term)
{
	struct term_tty *tty = &term->tty;

	term->background = !term_tty_foreground(tty);
	if (term->background)
		// A shell's fg tells a job that runs nothing.
		loop_arm_timer(term->loop, &term->background_check,
			       clock_monotonic_ns() + BACKGROUND_CHECK_NS);
	else if (tty->raw)
		term_tty_renew_raw(tty);
	else if (term_tty_make_raw(tty))
		term->in_ended = true;
}

static void report_size(struct term *term)
{
	unsigned columns, rows;

	if (term->frontend.resized && term_size(term, &columns, &rows))
		term->frontend.resized(term->frontend.opaque, columns, rows);
}

static void signal_ready(struct loop_fd *self, uint32_t epoll_events)
{
	struct term *term = container_of(self, struct term, signals);
	struct signalfd_siginfo got;

	if (read(self->fd, &got, sizeof(got)) != sizeof(got))
		return;
	if (got.ssi_signo == SIGCONT) { // another process may have changed the modes
		term_follow_job(term);
		term_input_update(term);
	}
	report_size(term);
}

static void terminal_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGWINCH);
	sigaddset(set, SIGCONT);
}

static int start_terminal(struct term *term)
{
	sigset_t set;

	terminal_signals(&set);
	term->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (term->signals.fd < 0)
		return fail(errno, "console: signalfd");
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	term_follow_job(term);
	return loop_add_fd(term->loop, &term->signals, EPOLLIN);
}

static void stop_terminal(struct term *term)
{
	sigset_t set;

	loop_disarm_timer(term->loop, &term->background_check);
	term_tty_restore(&term->tty);
	if (term->signals.fd < 0)
		return;
	loop_remove_fd(term->loop, &term->signals);
	close(term->signals.fd);
	term->signals.fd = -1;
	terminal_signals(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void serve_size(struct loop_post *post)
{
	report_size(container_of(post, struct term, size_post));
}

void term_set_view_size(struct term *term, unsigned columns, unsigned rows)
{
	bool changed;

	pthread_mutex_lock(&term->lock);
	changed = columns != term->view_columns || rows != term->view_rows;
	term->view_columns = columns;
	term->view_rows = rows;
	pthread_mutex_unlock(&term->lock);
	if (changed)
		loop_post(term->loop, &term->size_post);
}

static bool view_size(struct term *term, unsigned *columns, unsigned *rows)
{
	bool viewed;

	pthread_mutex_lock(&term->lock);
	viewed = term->view_columns;
	if (viewed) {
		*columns = term->view_columns;
		*rows = term->view_rows;
	}
	pthread_mutex_unlock(&term->lock);
	return viewed;
}

bool term_size(struct term *term, unsigned *columns, unsigned *rows)
{
	return view_size(term, columns, rows) || term_tty_size(term->out.fd, columns, rows) ||
	       term_tty_size(term->in.fd, columns, rows);
}

bool term_is_tty(struct term *term)
{
	return term->is_tty;
}

// -- life --

static int duplicate_fds(struct term *term, int in_fd, int out_fd)
{
	if (in_fd >= 0) {
		term->in.fd = term_tty_duplicate(in_fd);
		if (term->in.fd < 0)
			return term->in.fd;
	}
	if (out_fd >= 0) {
		term->out.fd = term_tty_duplicate(out_fd);
		if (term->out.fd < 0)
			return term->out.fd;
	}
	return 0;
}

static void init_term(struct term *term, struct loop *loop, struct term_events events)
{
	term->loop = loop;
	term->events = events;
	term->in.fd = -1;
	term->out = (struct loop_fd){ .fd = -1, .ready = output_ready };
	term->signals = (struct loop_fd){ .fd = -1, .ready = signal_ready };
	term->background_check.expired = check_background;
	term->input_post.call = term_input_serve;
	term->output_post.call = serve_output;
	term->size_post.call = serve_size;
	pthread_mutex_init(&term->lock, NULL);
}

int term_create(struct term **term, struct loop *loop, int in_fd, int out_fd,
		struct term_events events)
{
	struct term *made = calloc(1, sizeof(*made));
	int ret;

	if (!made)
		return fail(ENOMEM, "console");
	init_term(made, loop, events);
	// By themselves and not cleared, so that what is not used takes no memory.
	made->output.ring = malloc(TERM_OUTPUT_RING_BYTES);
	made->output.history = malloc(TERM_OUTPUT_HISTORY_BYTES);
	if (!made->output.ring || !made->output.history) {
		term_free(made);
		return fail(ENOMEM, "console");
	}
	ret = duplicate_fds(made, in_fd, out_fd);
	if (ret) {
		term_free(made);
		return ret;
	}
	made->tty.fd = made->in.fd;
	made->is_tty = isatty(made->in.fd);
	made->input.size = made->is_tty ? TERM_INPUT_TTY_BYTES : TERM_INPUT_BYTES;
	made->typed.size = TERM_INPUT_BYTES;
	made->discard = made->out.fd < 0;
	*term = made;
	return 0;
}

int term_sysrq(struct term *term, uint8_t key)
{
	const struct term_frontend *frontend = &term->frontend;
	const uint8_t keys[] = { CTRL('o'), key };

	if (frontend->sysrq)
		return frontend->sysrq(frontend->opaque, key) ? 0 : -EBUSY;
	if (!frontend->input)
		return -ENODEV;
	return frontend->input(frontend->opaque, keys, sizeof(keys)) == sizeof(keys) ? 0 : -EBUSY;
}

void term_connect(struct term *term, const struct term_frontend *frontend)
{
	term->frontend = *frontend;
}

int term_start(struct term *term)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int ret = 0;

	term->started = true;
	sigaction(SIGPIPE, &ignore, &term->old_sigpipe);
	if (term->is_tty)
		ret = start_terminal(term);
	if (!ret)
		ret = term_input_start(term);
	if (ret)
		term_stop(term, 0);
	return ret;
}

void term_stop(struct term *term, unsigned timeout_ms)
{
	if (!term->started)
		return;
	flush_output(term, timeout_ms);
	watch_output(term, false);
	term_input_unwatch(term);
	stop_terminal(term);
	sigaction(SIGPIPE, &term->old_sigpipe, NULL);
	term->started = false;
}

int term_redirect(struct term *term, int out_fd)
{
	int fd = term_tty_duplicate(out_fd);

	if (fd < 0)
		return fd;
	watch_output(term, false);
	if (term->out.fd >= 0)
		close(term->out.fd);
	term->out.fd = fd;
	pthread_mutex_lock(&term->lock);
	term->discard = false;
	pthread_mutex_unlock(&term->lock);
	loop_post(term->loop, &term->output_post);
	return 0;
}

void term_free(struct term *term)
{
	term_stop(term, 0);
	loop_cancel_post(term->loop, &term->input_post);
	loop_cancel_post(term->loop, &term->output_post);
	loop_cancel_post(term->loop, &term->size_post);
	if (term->in.fd >= 0)
		close(term->in.fd);
	if (term->out.fd >= 0)
		close(term->out.fd);
	pthread_mutex_destroy(&term->lock);
	free(term->output.ring);
	free(term->output.history);
	free(term);
}

// -- what was printed --

size_t term_last_output(struct term *term, char *text, size_t size)
{
	size_t len;

	pthread_mutex_lock(&term->lock);
	len = term_output_last(&term->output, text, size);
	pthread_mutex_unlock(&term->lock);
	return len;
}

bool term_saw_panic(struct term *term)
{
	bool saw;

	pthread_mutex_lock(&term->lock);
	saw = term->output.saw_panic;
	pthread_mutex_unlock(&term->lock);
	return saw;
}

void term_forget_panic(struct term *term)
{
	pthread_mutex_lock(&term->lock);
	term->output.saw_panic = false;
	term->output.panic_matched = 0;
	pthread_mutex_unlock(&term->lock);
}
