// SPDX-License-Identifier: GPL-2.0-or-later
// The escape key of the console, Ctrl-a, and what follows it.

#include "term-escape.h"

const char term_escape_help[] = "\r\n"
				"Ctrl-a x       end the VM\r\n"
				"Ctrl-a Ctrl-a  send Ctrl-a to the guest\r\n"
				"Ctrl-a h       show this list\r\n";

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
	case 'h':
	case 'H':
	case '?':
		return TERM_KEY_HELP;
	default:
		return TERM_KEY_NONE;
	}
}
