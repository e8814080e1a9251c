// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's command line: what the machine adds, then what the user gave.
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bootargs.h"
#include "log.h"
#include "vm-config.h"

struct line {
	char *text;
	size_t size;
	size_t used; // may exceed @size: then it did not fit
};

static void PRINTF_LIKE(2, 3) add(struct line *line, const char *fmt, ...)
{
	size_t room = line->used < line->size ? line->size - line->used : 0;
	va_list args;

	va_start(args, fmt);
	line->used += vsnprintf(room ? line->text + line->used : NULL, room, fmt, args);
	va_end(args);
}

// What stands behind the last parameter @key ("root=") itself, not a longer one, since that
// one counts; NULL: there is none.
static const char *find_param(const char *params, const char *key)
{
	const char *at = params, *found = NULL;

	for (; at && (at = strstr(at, key)); at++)
		if (at == params || at[-1] == ' ' || at[-1] == '\t' || at[-1] == '\n')
			found = at + strlen(key);
	return found;
}

static bool has_default_root(const struct vm_config *config)
{
	return !config->no_defaults && config->disk_count && !config->initrd_path &&
	       !find_param(config->params, "root=");
}

bool bootargs_root(const struct vm_config *config, char *text, size_t size)
{
	const char *root = has_default_root(config) ? "/dev/vda" :
						      find_param(config->params, "root=");

	snprintf(text, size, "%.*s", root ? (int)strcspn(root, " \t\n") : 0, root ? root : "");
	return root;
}

static void add_defaults(struct line *line, const struct vm_config *config)
{
	// earlycon: a kernel that dies before its console is up says why, too (the port
	// is that of stdout-path). panic=-1: restart at once, so that a panic ends the VM.
	// cryptomgr.notests: stock kernels spend a third of their way to init on self-tests of
	// their ciphers. With fips=1, where these are required, Linux ignores the word.
	add(line, "console=%s earlycon panic=-1 cryptomgr.notests",
	    config->console == CONSOLE_VIRTIO ? "hvc0" : "ttyS0");
	if (has_default_root(config))
		add(line, " root=/dev/vda %s", config->disks[0].read_only ? "ro" : "rw");
}

int bootargs_build(const struct vm_config *config, size_t linux_size, char *text, size_t size)
{
	struct line line = { .text = text, .size = size };

	text[0] = '\0';
	if (!config->no_defaults)
		add_defaults(&line, config);
	// The user's come last, so that they win.
	if (config->params && *config->params)
		add(&line, "%s%s", line.used ? " " : "", config->params);
	if (line.used >= size)
		return fail_msg(E2BIG,
				"the kernel command line has %zu bytes; at most %zu fit: "
				"shorten -p",
				line.used, size - 1);
	if (line.used >= linux_size)
		warn("the kernel command line has %zu bytes; Linux reads only the first %zu",
		     line.used, linux_size - 1);
	return 0;
}
