// SPDX-License-Identifier: GPL-2.0-or-later
// The escape key of the console, Ctrl-a, and what follows it.

#include "term-escape.h"

#define QUIT "Ctrl-a x       end the VM\r\n"
#define DETACH "Ctrl-a d       leave the console; the VM goes on\r\n"
#define COMMON                                        \
	"Ctrl-a Ctrl-a  send Ctrl-a to the guest\r\n" \
	"Ctrl-a h       show this list\r\n"

const char *term_escape_help(bool quit, bool detach)
{
	static const char *const texts[2][2] = {
		{ "\r\n" COMMON, "\r\n" DETACH COMMON },
		{ "\r\n" QUIT COMMON, "\r\n" QUIT DETACH COMMON },
	};

	return texts[quit][detach];
}

enum term_key term_escape_key(struct term_escape *escape, uint8_t byte)
{
	if (!escape->armed) {
		escape->armed = byte == TERM_ESCAPE_KEY;
		return escape->armed ? TERM_KEY_NONE : TERM_KEY_GUEST;
	}
	escape->armed = false;
	switch (byte) {
	case TERM_ESCAPE_KEY:
		return TERM_KEY_GUEST;
	case 'x':
	case 'X':
		return TERM_KEY_QUIT;
	case 'd':
	case 'D':
		return TERM_KEY_DETACH;
	case 'h':
	case 'H':
	case '?':
		return TERM_KEY_HELP;
	default:
		return TERM_KEY_NONE;
	}
}
