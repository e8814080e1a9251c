// SPDX-License-Identifier: GPL-2.0-or-later
// The console's parts, shared by term.c (life, output, signals) and term-input.c.
#ifndef KVIK_TERM_PRIV_H
#define KVIK_TERM_PRIV_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "term-escape.h"
#include "term-output.h"
#include "term-tty.h"
#include "term.h"

// From a person: enough that a guest which hangs does not make the escape key
// wait behind what was typed at it. From a file or pipe: little, since what was
// read and not taken is lost to whoever reads on after us.
#define TERM_INPUT_TTY_BYTES (16 * KIB)
#define TERM_INPUT_BYTES (1 * KIB)

// Bytes of one source that the guest has not taken yet: [start, end) of data.
struct term_input {
	uint8_t data[TERM_INPUT_TTY_BYTES];
	size_t size; // how much of data is used
	size_t start;
	size_t end;
	bool offering; // the frontend looks at them: nobody else may take any
	bool full;     // its source has stopped: whoever takes some restarts it
};

struct term {
	// Constant after term_start().
	struct loop *loop;
	struct term_events events;
	struct term_frontend frontend; // no functions: not connected
	bool is_tty;                   // the input

	// Main thread only.
	struct term_tty tty;
	struct term_escape escape;
	bool started;
	bool background;      // the terminal is another job's
	bool in_always_ready; // epoll refuses it
	bool in_watched;
	bool in_ended;
	bool end_told;
	bool out_watched;
	struct loop_fd in;
	struct loop_fd out;
	struct loop_fd signals; // SIGWINCH and SIGCONT, when is_tty
	struct loop_timer background_check;
	struct sigaction old_sigpipe;

	// Any thread.
	struct loop_post input_post;
	struct loop_post output_post;
	struct loop_post size_post;
	pthread_mutex_t lock;    // guards the rest; a leaf
	struct term_input input; // from the descriptor, which comes first
	struct term_input typed; // by viewers
	struct loop *watch_loop; // NULL: there are none
	struct loop_post *watch_post;
	unsigned view_columns; // 0: no viewer's size counts
	unsigned view_rows;
	struct term_output output;
	bool discard;      // nobody reads the output (any more)
	bool output_waits; // term_write() took less than all
};

// Finds out whether the terminal is ours and makes it raw if so. Main thread.
void term_follow_job(struct term *term);

// Starts reading; 0 or -errno after a message. Main thread.
int term_input_start(struct term *term) MUST_CHECK;
// Stops reading, for good or until term_input_update().
void term_input_unwatch(struct term *term);
// Reads on, or stops, as room and the terminal's owner demand.
void term_input_update(struct term *term);
// Room for more at the end; what waits moves to the front to make it. term->lock is held.
size_t term_input_room(struct term_input *input);
// Tells the viewers of output, or of room. term->lock is held.
void term_tell_viewers(struct term *term);
// loop_post.call of input_post.
void term_input_serve(struct loop_post *post);

#endif
