// SPDX-License-Identifier: GPL-2.0-or-later
// Sizes and names as users type them.

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "options.h"

static bool add_digit(uint64_t *value, char digit)
{
	return !__builtin_mul_overflow(*value, (uint64_t)10, value) &&
	       !__builtin_add_overflow(*value, (uint64_t)(digit - '0'), value);
}

// Bytes in the unit @letter; 0 if there is no such unit.
static uint64_t unit_bytes(char letter)
{
	static const char letters[] = "BKMGTP";
	const char *found = strchr(letters, toupper((unsigned char)letter));

	return found && *found ? 1ULL << (10 * (found - letters)) : 0;
}

int parse_size(const char *text, uint64_t default_unit, uint64_t *bytes)
{
	uint64_t value = 0, unit = default_unit;
	bool fits = true;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++)
		fits = fits && add_digit(&value, *text);
	if (*text)
		unit = unit_bytes(*text++);
	if (!unit || *text)
		return -EINVAL;
	if (!fits || __builtin_mul_overflow(value, unit, &value))
		return -ERANGE;
	*bytes = value;
	return 0;
}

#define WORD_MAX 32 // longer ones are near to nothing

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = MIN(a, b);

	return MIN(least, c);
}

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

// Insertions, deletions, substitutions and swaps of neighbours that turn @a into
// @b ("optimal string alignment"); each at most WORD_MAX long.
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];
	size_t b_len = strlen(b);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		unsigned *oldest = before;

		before = last, last = row, row = oldest;
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			bool same = same_letter(a[i - 1], b[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + !same);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]))
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
	}
	return row[b_len];
}

const char *nearest_name(const char *word, const char *const *names, unsigned count)
{
	const char *nearest = NULL;
	unsigned least = WORD_MAX;
	size_t len = strlen(word);

	if (len > WORD_MAX)
		return NULL;
	for (unsigned i = 0; i < count; i++) {
		size_t name_len = strlen(names[i]);
		unsigned distance;

		if (name_len > WORD_MAX)
			continue;
		distance = edit_distance(word, names[i]);
		// Near: at most a third of the letters are wrong.
		if (distance < least && distance <= MAX(len, name_len) / 3) {
			least = distance;
			nearest = names[i];
		}
	}
	return nearest;
}
