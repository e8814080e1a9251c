// SPDX-License-Identifier: GPL-2.0-or-later
// The terminal behind the console: raw mode, and restoring it whatever happens.
//
// Main thread.
#ifndef KVIK_TERM_TTY_H
#define KVIK_TERM_TTY_H

#include <stdbool.h>
#include <termios.h>

#include "util.h"

struct term_tty {
	int fd;
	bool raw;
	struct termios cooked; // what to restore
};

// Another descriptor for the file of @fd, to be closed by the caller. For a
// terminal it is non-blocking, without changing @fd: that one's status flags are
// shared with other processes. Returns it, or -errno after a message.
int term_tty_duplicate(int fd) MUST_CHECK;

// True unless it is the controlling terminal and another job has it.
bool term_tty_foreground(const struct term_tty *tty);

// Raw mode, until term_tty_restore() or a fatal signal. Returns 0, or -errno after
// a message.
int term_tty_make_raw(struct term_tty *tty) MUST_CHECK;
// Raw mode again, after another process had the terminal.
void term_tty_renew_raw(struct term_tty *tty);
void term_tty_restore(struct term_tty *tty);

// Columns and rows of the terminal @fd; false if it is none or does not know.
bool term_tty_size(int fd, unsigned *columns, unsigned *rows);

#endif
