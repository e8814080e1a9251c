// SPDX-License-Identifier: GPL-2.0-or-later
// The options that a VM is started with, kept as text: from the command line, from a JSON
// file, and as JSON again.
//
// All of it goes by the command's one option table. In JSON an option is a member with its
// long name: true for a flag, an array for one that may be repeated, else a string or a
// number. What can be given there can be read and written here, without another line.
// Main thread.
#ifndef KVIK_RUN_CONFIG_H
#define KVIK_RUN_CONFIG_H

#include <jansson.h>

#include "options.h"

struct setting {
	const struct option_spec *spec;
	char *text; // its argument; NULL: a flag
	bool from_file;
};

struct run_config {
	struct option_sink sink;           // collects what the command line says
	const struct option_spec *options; // not used by run_config_free()
	struct setting *settings;
	unsigned count;
	char *file_path; // NULL: no file was read
};

void run_config_init(struct run_config *config, const struct option_spec *options);
void run_config_free(struct run_config *config);

// Adds an option by its long name. Returns 0 or -ENOMEM after a message.
int run_config_add(struct run_config *config, const char *long_name, const char *text) MUST_CHECK;
// What the option is set to, as run_config_apply() does it; NULL: nothing.
const char *run_config_text(const struct run_config *config, const char *long_name);

// Adds what the file says of options that the command line has not given. Returns 0 or
// -errno after a message that names file, member, value and remedy.
int run_config_read(struct run_config *config, const char *path) MUST_CHECK;
// Sets the values of all options. They may point into the config. Returns 0 or -errno after
// a message.
int run_config_apply(const struct run_config *config) MUST_CHECK;

// An object in the table's order, with paths made absolute; the caller's. NULL: an option is
// not UTF-8, as JSON must be (no message).
json_t *run_config_json(const struct run_config *config) MUST_CHECK;

#endif
