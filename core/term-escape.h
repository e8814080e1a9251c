// SPDX-License-Identifier: GPL-2.0-or-later
// The escape key of the console, Ctrl-a, and what follows it.
#ifndef KVIK_TERM_ESCAPE_H
#define KVIK_TERM_ESCAPE_H

#include <stdbool.h>
#include <stdint.h>

#define TERM_ESCAPE_KEY 0x01 // Ctrl-a

enum term_key {
	TERM_KEY_GUEST,  // goes to the guest
	TERM_KEY_NONE,   // the escape key itself, or an unknown key after it
	TERM_KEY_QUIT,   // Ctrl-a x
	TERM_KEY_DETACH, // Ctrl-a d
	TERM_KEY_HELP,   // Ctrl-a h
};

// Zero-initialise.
struct term_escape {
	bool armed; // the last byte was the escape key
};

enum term_key term_escape_key(struct term_escape *escape, uint8_t byte);

// The list of keys, for a terminal in raw mode; static text. Which keys are there?
const char *term_escape_help(bool quit, bool detach);

#endif
