// SPDX-License-Identifier: GPL-2.0-or-later
// System.map: a symbol a line, as nm(1) prints them: "ffffffff81000000 T _text".
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "symbols-internal.h"

#define MAP_MAX_BYTES (256 * MIB)
#define ADDRESS_DIGITS 16
#define NAME_COLUMN 19

// Debian's /boot/System.map-* is one line of this form, which tells where the real one is.
#define STUB_ADDRESS "ffffffffffffffff B The real System.map"

static bool is_line(const char *line, size_t len)
{
	for (unsigned i = 0; i < ADDRESS_DIGITS; i++)
		if (i >= len || !isxdigit((unsigned char)line[i]))
			return false;
	return len > NAME_COLUMN && len - NAME_COLUMN <= SYMBOL_NAME_MAX &&
	       line[ADDRESS_DIGITS] == ' ' && line[NAME_COLUMN - 1] == ' ';
}

static int add_line(struct symbols *symbols, const char *line, size_t len)
{
	char digits[ADDRESS_DIGITS + 1] = "", type = line[ADDRESS_DIGITS + 1];

	if (!strchr("tTwW", type))
		return 0;
	memcpy(digits, line, ADDRESS_DIGITS);
	return symbols_add(symbols, strtoull(digits, NULL, 16), line + NAME_COLUMN,
			   len - NAME_COLUMN, isupper((unsigned char)type));
}

static int parse(struct symbols *symbols, const char *path, const char *text, size_t size_bytes)
{
	const char *end = text + size_bytes;
	unsigned number = 0;
	int rc = 0;

	while (text < end && !rc) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);

		number++;
		if (!is_line(text, len))
			return fail_msg(EINVAL,
					"%s: line %u is not an address, a type and a name; is it a "
					"System.map?",
					path, number);
		rc = add_line(symbols, text, len);
		text += len + 1;
	}
	return rc ? symbols_add_failed(path, rc) : 0;
}

static int check_text(const char *path, const char *text, size_t size_bytes)
{
	size_t stub_bytes = strlen(STUB_ADDRESS);

	if (size_bytes >= stub_bytes && memcmp(text, STUB_ADDRESS, stub_bytes) == 0)
		return fail_msg(EINVAL,
				"%s: has no symbols, but a note of where they are (Debian's -dbg "
				"package); name the kernel itself, which mostly carries its own",
				path);
	return 0;
}

int symbols_read_map(struct symbols *symbols, const struct image_source *source)
{
	char *text;
	int rc;

	if (source->size_bytes > MAP_MAX_BYTES)
		return fail_msg(EFBIG, "%s: has %llu MiB; a System.map has a few", source->path,
				(unsigned long long)(source->size_bytes / MIB));
	text = malloc(source->size_bytes);
	if (!text)
		return fail(ENOMEM, "%s: read it", source->path);
	rc = image_source_read(source, 0, text, source->size_bytes);
	if (!rc)
		rc = check_text(source->path, text, source->size_bytes);
	if (!rc)
		rc = parse(symbols, source->path, text, source->size_bytes);
	free(text);
	return rc;
}
