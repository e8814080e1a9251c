// SPDX-License-Identifier: GPL-2.0-or-later
// kvik console: attaches stdin and stdout to a running VM's console.
//
// Two connections: one that turns into the console, and one for events, which tells how the
// VM ended. Terminal, escape keys and back pressure are struct term's, as in kvik run; here
// its "device" is the connection.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "builtin.h"
#include "log.h"
#include "loop.h"
#include "remote.h"
#include "signals.h"
#include "term.h"
#include "vm.h"

#define PIECE_BYTES 4096
#define LINGER_S 1
#define FLUSH_MS 2000    // for a reader of our output that does not read
#define FAREWELL_MS 5000 // from the console's end to word of how the VM ended

enum outcome {
	ATTACHED,
	LEFT,   // by the key, or for want of anything to do
	KILLED, // by a signal
	ENDED,  // the VM has closed its console
};

struct console {
	struct remote remote; // first
	bool read_only;
	bool no_history;
	unsigned linger_s;

	struct loop loop;
	struct term *term;
	struct signals signals;
	struct control_client stream; // the console
	struct loop_fd stream_event;
	uint32_t stream_watched;
	bool stream_full;            // takes no more input
	struct control_client *news; // events
	struct loop_fd news_event;
	uint32_t news_watched;
	struct loop_timer linger;
	bool input_ended;
	json_int_t viewer; // how the VM calls this one; 0: it takes no sizes

	uint8_t piece[PIECE_BYTES]; // [piece_start, piece_end) is still to be printed
	size_t piece_start;
	size_t piece_end;

	enum outcome outcome;
	json_t *farewell; // of the VM, told when the terminal is as before; NULL: it runs
	int status;       // the command's, if all went well
};

static void leave(struct console *console, enum outcome outcome)
{
	if (console->outcome == ATTACHED)
		console->outcome = outcome;
	loop_stop(&console->loop);
}

// -- the guest's output --

static void watch_stream(struct console *console)
{
	bool printed = console->piece_start == console->piece_end;

	if (loop_watch_fd(&console->loop, &console->stream_event, &console->stream_watched,
			  (printed ? EPOLLIN : 0) | (console->stream_full ? EPOLLOUT : 0)))
		leave(console, ENDED);
}

static void print_piece(struct console *console)
{
	console->piece_start += term_write(console->term, console->piece + console->piece_start,
					   console->piece_end - console->piece_start);
}

static void rearm_linger(struct console *console)
{
	loop_arm_timer(&console->loop, &console->linger,
		       clock_monotonic_ns() + console->linger_s * NSEC_PER_SEC);
}

static void receive_output(struct console *console)
{
	ssize_t n = recv(console->stream.fd, console->piece, PIECE_BYTES, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(console, ENDED);
		return;
	}
	console->piece_start = 0;
	console->piece_end = (size_t)n;
	print_piece(console);
	if (console->input_ended)
		rearm_linger(console);
}

static void stream_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct console *console = container_of(event, struct console, stream_event);

	if (epoll_events & EPOLLOUT) {
		console->stream_full = false;
		term_input_ready(console->term);
	}
	if (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
	    console->piece_start == console->piece_end)
		receive_output(console);
	watch_stream(console);
}

static void room_for_output(void *opaque)
{
	struct console *console = opaque;

	print_piece(console);
	watch_stream(console);
}

// -- the user's input --

static size_t send_input(void *opaque, const uint8_t *data, size_t len)
{
	struct console *console = opaque;
	ssize_t n;

	if (console->read_only)
		return len;
	n = send(console->stream.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR)
		return len; // the VM is gone, which reading will show
	console->stream_full = true;
	watch_stream(console);
	return 0;
}

static void tell_size(void *opaque, unsigned columns, unsigned rows)
{
	struct console *console = opaque;

	if (!console->viewer || console->read_only)
		return;
	// Nothing waits for the answer, which comes among the events.
	if (control_send(console->news, "console-size",
			 json_pack("{s:I, s:i, s:i}", "viewer", console->viewer, "columns",
				   (int)columns, "rows", (int)rows)))
		console->viewer = 0;
}

static void tell_first_size(struct console *console)
{
	unsigned columns, rows;

	if (term_is_tty(console->term) && term_size(console->term, &columns, &rows))
		tell_size(console, columns, rows);
}

static void detach(void *opaque)
{
	leave(opaque, LEFT);
}

static void input_ended(void *opaque)
{
	struct console *console = opaque;

	console->input_ended = true;
	rearm_linger(console);
}

static void output_ended(void *opaque, bool failed)
{
	struct console *console = opaque;

	if (failed)
		console->status = VM_STATUS_USAGE;
	leave(console, LEFT);
}

static void lingered(struct loop_timer *timer)
{
	leave(container_of(timer, struct console, linger), LEFT);
}

static void signal_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct console *console = container_of(event, struct console, signals.event);
	int number = signals_take(&console->signals);

	if (!number)
		return;
	console->status = 128 + number;
	leave(console, KILLED);
}

// -- how the VM ends --

static void note_event(struct console *console, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));

	if (name && strcmp(name, "stopped") == 0 && !console->farewell)
		console->farewell = json_incref(json_object_get(event, "data"));
}

static void tell_farewell(struct console *console)
{
	const char *reason = json_string_value(json_object_get(console->farewell, "reason"));

	if (!console->farewell)
		return;
	info("VM %s: has ended: %s", console->news->vm_name, reason ? reason : "?");
	if (console->outcome != KILLED)
		console->status =
			(int)json_integer_value(json_object_get(console->farewell, "status"));
	json_decref(console->farewell);
}

static int take_event(struct console *console, int timeout_ms)
{
	json_t *event;
	int err = control_next(console->news, timeout_ms, &event);

	if (err)
		return err;
	note_event(console, event);
	json_decref(event);
	return 0;
}

static void news_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct console *console = container_of(event, struct console, news_event);
	int err;

	do
		err = take_event(console, FAREWELL_MS);
	while (!err && control_pending(console->news));
	if (err && loop_watch_fd(&console->loop, event, &console->news_watched, 0))
		leave(console, ENDED);
}

static int take_farewell(struct console *console)
{
	int err = 0;

	while (!console->farewell && !err)
		err = take_event(console, FAREWELL_MS);
	if (err == -EPIPE)
		return fail_msg(
			EPIPE, "VM %s: has ended without a word (killed?); its status is not known",
			console->news->vm_name);
	return err;
}

// -- attaching --

static int open_stream(struct console *console, const char *name)
{
	json_t *result, *wish = json_pack("{s:b, s:b}", "history", !console->no_history,
					  "read_only", console->read_only);
	int err = control_connect(&console->stream, name);

	if (err) {
		json_decref(wish);
		return err == -ENOENT ? fail_msg(ENOENT, "VM %s: has ended", name) : err;
	}
	err = control_ask(&console->stream, "console", wish, REMOTE_TIMEOUT_MS, &result);
	if (err) {
		control_disconnect(&console->stream);
		return err;
	}
	console->viewer = json_integer_value(json_object_get(result, "viewer"));
	json_decref(result);
	return 0;
}

static int make_term(struct console *console)
{
	struct term_events events = {
		.detach = detach,
		.ended = input_ended,
		.unread = output_ended,
		.opaque = console,
	};
	struct term_frontend frontend = {
		.input = send_input,
		.output_ready = room_for_output,
		.resized = tell_size,
		.opaque = console,
	};
	// Whoever only looks needs a terminal's keys, but no other input.
	int in_fd = console->read_only && !isatty(STDIN_FILENO) ? -1 : STDIN_FILENO;
	int err = term_create(&console->term, &console->loop, in_fd, STDOUT_FILENO, events);

	if (!err)
		term_connect(console->term, &frontend);
	return err;
}

static int watch_all(struct console *console)
{
	struct loop *loop = &console->loop;
	int err = loop_add_fd(loop, &console->signals.event, EPOLLIN);

	console->stream_event = (struct loop_fd){ console->stream.fd, stream_ready };
	console->news_event = (struct loop_fd){ console->news->fd, news_ready };
	console->linger.expired = lingered;
	if (!err)
		err = loop_watch_fd(loop, &console->news_event, &console->news_watched, EPOLLIN);
	if (err)
		return err;
	watch_stream(console);
	return 0;
}

// What came right behind the answer is console already.
static void print_first(struct console *console)
{
	struct control_client *stream = &console->stream;
	size_t taken = term_write(console->term, (uint8_t *)stream->input, stream->input_bytes);

	(void)taken; // all: the ring is larger than what is read at a time
}

// Runs until it is over; the terminal is restored.
static int attach(struct console *console)
{
	int err = term_start(console->term);

	if (err)
		return err;
	if (term_is_tty(console->term))
		info("VM %s: Ctrl-a d leaves its console, Ctrl-a h lists the keys",
		     console->news->vm_name);
	tell_first_size(console);
	print_first(console);
	while (console->outcome == ATTACHED)
		loop_run(&console->loop);
	if (term_is_tty(console->term)) // what comes next begins a line
		term_write(console->term, (const uint8_t *)"\r\n", 2);
	term_stop(console->term, FLUSH_MS);
	return 0;
}

static int attach_signals(struct console *console)
{
	sigset_t ending;
	int err;

	signals_ending(&ending);
	console->signals.event.ready = signal_ready;
	err = signals_catch(&console->signals, &ending);
	if (err)
		return err;
	err = watch_all(console);
	if (!err)
		err = attach(console);
	signals_release(&console->signals);
	return err;
}

static int attach_loop(struct console *console)
{
	int err = loop_init(&console->loop);

	if (err)
		return err;
	err = make_term(console);
	if (!err) {
		err = attach_signals(console);
		term_free(console->term);
	}
	loop_exit(&console->loop);
	return err;
}

static int view_console(struct remote *remote, struct control_client *client)
{
	struct console *console = (struct console *)remote;
	int err = remote_subscribe(client);

	console->news = client;
	if (!err)
		err = open_stream(console, client->vm_name);
	if (err)
		return err;
	err = attach_loop(console);
	control_disconnect(&console->stream);
	if (!err && console->outcome == ENDED)
		err = take_farewell(console);
	tell_farewell(console);
	return err;
}

static int parse_linger(void *value, const char *argument)
{
	return remote_parse_seconds("--linger", argument, value);
}

int cmd_console(int argc, char **argv)
{
	struct console console = { .remote.one_only = true, .linger_s = LINGER_S };
	const struct option_spec options[] = {
		{ OPTION_STRING, 'n', "name", "NAME", "The VM, as an argument would name it",
		  &console.remote.name },
		{ OPTION_FLAG, 'r', "read-only", NULL, "Show the console; send nothing to it",
		  &console.read_only },
		{ OPTION_FLAG, 0, "no-history", NULL, "Leave out what was printed before",
		  &console.no_history },
		{ OPTION_CALL, 0, "linger", "SECONDS",
		  "Stay after the last input and output (default: 1)", &console.linger_s,
		  parse_linger },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik console",
		.synopsis = "[<options>] <name>",
		.summary = find_command("console")->summary,
		.options = options,
	};
	int status = remote_run(&console.remote, &usage, argc, argv, view_console);

	return status ? status : console.status;
}
