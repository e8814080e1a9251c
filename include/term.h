// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's console on kvik's stdin and stdout.
//
// Output goes from any thread into a bounded ring that the main loop drains, so a
// slow reader never blocks a vCPU: the device sees how much was taken and holds
// back. Input is read only while the device has room. On a terminal, raw mode and
// the escape key (Ctrl-a x ends the VM, Ctrl-a d leaves it, Ctrl-a Ctrl-a sends the key,
// Ctrl-a h lists the keys); the terminal is restored on every way out, crashes included.
// Viewers on other threads see the same output, and may type.
#ifndef KVIK_TERM_H
#define KVIK_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct loop;
struct loop_post;
struct term;

// The device that the console is connected to. Callbacks run on the main loop and
// may take the device's lock.
struct term_frontend {
	// Bytes from the user; returns how many were taken. The rest is offered again
	// after term_input_ready().
	size_t (*input)(void *opaque, const uint8_t *data, size_t len);
	// The magic SysRq key and then @key; false when the device has no room for them. NULL:
	// the device has only characters (Linux's hvc consoles take Ctrl-o for it).
	bool (*sysrq)(void *opaque, uint8_t key);
	// Room in the output ring after term_write() took less than all.
	void (*output_ready)(void *opaque);
	// The terminal's size changed; may be NULL.
	void (*resized)(void *opaque, unsigned columns, unsigned rows);
	void *opaque;
};

// On the main loop; each may be NULL.
struct term_events {
	void (*quit)(void *opaque);   // the user pressed Ctrl-a x
	void (*detach)(void *opaque); // the user pressed Ctrl-a d
	void (*ended)(void *opaque);  // the input has ended, and the device has taken it
	// Nobody reads the output any more, or (@failed) it cannot be written.
	void (*unread)(void *opaque, bool failed);
	void *opaque;
};

// Uses descriptors @in_fd and @out_fd (not closed by it; -1: none). Main thread.
int term_create(struct term **term, struct loop *loop, int in_fd, int out_fd,
		struct term_events events) MUST_CHECK;
// Puts a terminal into raw mode and starts reading. Main thread.
int term_start(struct term *term) MUST_CHECK;
// Connects the device; main thread, before term_start().
void term_connect(struct term *term, const struct term_frontend *frontend);
// Restores the terminal and writes out what is left: up to @timeout_ms for a
// reader that does not read. Main thread, loop not running.
void term_stop(struct term *term, unsigned timeout_ms);
// From now on the output goes to @out_fd (not closed by it). Main thread.
int term_redirect(struct term *term, int out_fd) MUST_CHECK;
void term_free(struct term *term);

// Takes up to @len bytes of console output and returns how many. Any thread.
size_t term_write(struct term *term, const uint8_t *data, size_t len);
// True when term_write() would take at least one byte. Any thread.
bool term_writable(struct term *term);
// The device has room for input again. Any thread.
void term_input_ready(struct term *term);
// Non-blocking read of pending input for SBI getchar and DBCN; returns the number
// of bytes taken. Any thread.
size_t term_read(struct term *term, uint8_t *data, size_t len);

// Gives the guest's kernel a magic SysRq key, if it listens to the console. 0; -EBUSY: it
// takes no input now; -ENODEV: no device is connected. Main thread.
int term_sysrq(struct term *term, uint8_t key) MUST_CHECK;

// -- viewers: another loop's, any number of them --

// Where a viewer is in the output. Zero-initialise: at the first byte there ever was.
struct term_view {
	uint64_t position; // bytes
	uint64_t lost;     // what came and went unseen, for a viewer to tell and clear
};

// Posts @post to @loop, which is another than the console's, whenever there is output or
// room for input; NULL: no more. The one who watches; any thread.
void term_watch(struct term *term, struct loop *loop, struct loop_post *post);
// A view that begins with the last whole lines, at most @len bytes. Any thread.
struct term_view term_recall(struct term *term, size_t len);
// Copies what comes next for the viewer, at most @size bytes, and returns how many. The
// viewer moves the position on himself, by what he has used. Any thread.
size_t term_look(struct term *term, struct term_view *view, uint8_t *data, size_t size);
// Takes up to @len bytes of input and returns how many. Who watches; any thread.
size_t term_type(struct term *term, const uint8_t *data, size_t len);

// The size that the console has from now on, which is that of a viewer's terminal; 0 by 0: of
// its own terminal again. Who watches; any thread.
void term_set_view_size(struct term *term, unsigned columns, unsigned rows);

// Columns and rows; false when there is neither a terminal nor a viewer's.
bool term_size(struct term *term, unsigned *columns, unsigned *rows);
bool term_is_tty(struct term *term);
// The newest output, at most @size - 1 bytes, cut to whole lines, NUL-terminated.
size_t term_last_output(struct term *term, char *text, size_t size);
// True once the guest has printed a line with "Kernel panic - not syncing" since
// the last term_forget(), which a reset calls.
bool term_saw_panic(struct term *term);
void term_forget_panic(struct term *term);

#endif
