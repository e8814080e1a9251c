// SPDX-License-Identifier: GPL-2.0-or-later
// The ISA string of a hart ("riscv,isa"), in the order that the naming chapter of
// the unprivileged specification (ch. 37) asks for: single letters first; then Z
// extensions by category, S extensions, X extensions, each after an underscore
// and alphabetical within their group.
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "riscv-machine.h"

#define MAX_EXTENSIONS 128

static const char canonical_letters[] = "iemafdqlcbkjtpvh";

// Rank of a letter in canonical order; letters that have none come after, sorted.
static int letter_rank(char letter)
{
	const char *at = letter ? strchr(canonical_letters, letter) : NULL;

	return at ? at - canonical_letters : 64 + letter;
}

static int group(const char *name)
{
	if (!name[1])
		return 0;
	switch (name[0]) {
	case 'z':
		return 1;
	case 's':
		return 2;
	default:
		return 3;
	}
}

static int compare(const void *left, const void *right)
{
	const char *a = *(const char *const *)left;
	const char *b = *(const char *const *)right;
	int order = group(a) - group(b);

	if (order)
		return order;
	if (group(a) == 0)
		return letter_rank(a[0]) - letter_rank(b[0]);
	order = group(a) == 1 ? letter_rank(a[1]) - letter_rank(b[1]) : 0;
	return order ? order : strcmp(a, b);
}

int riscv_isa_string(const char *const *extensions, char *text, size_t size)
{
	const char *sorted[MAX_EXTENSIONS];
	size_t used = snprintf(text, size, "rv64");
	unsigned count = 0;

	for (; extensions[count]; count++) {
		if (count == MAX_EXTENSIONS)
			return -ENOSPC;
		sorted[count] = extensions[count];
	}
	qsort(sorted, count, sizeof(*sorted), compare);
	for (unsigned i = 0; i < count && used < size; i++)
		used += snprintf(text + used, size - used, "%s%s", group(sorted[i]) ? "_" : "",
				 sorted[i]);
	return used < size ? 0 : -ENOSPC;
}
