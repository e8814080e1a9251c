// SPDX-License-Identifier: GPL-2.0-or-later
// The symbols that a Linux kernel carries with it (CONFIG_KALLSYMS), found in its bytes.
//
// Linux's scripts/kallsyms.c writes these, each aligned to 4 or 8 bytes:
//
//   num_syms     how many there are (32 bits)
//   names        of each its length (one byte; two, of 7 bits and more, from 128 on) and so
//                many tokens, which make up its type and its name
//   markers      where in names each 256th begins (32 bits each)
//   token_table  256 tokens, each a string; those of digits and letters stand for themselves
//   token_index  where in token_table each begins (16 bits each)
//   offsets      of each its address (signed 32 bits), less relative_base
//   relative_base
//
// The last two follow the rest since Linux 6.4 and stood before it until then; something
// else may lie between the markers and the tokens. Nothing tells where all this begins, but
// the tokens of the digits are bytes that nothing else consists of; and the parts check each
// other.
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "log.h"
#include "symbols-internal.h"

#define TOKENS 256
#define TOKEN_MAX_BYTES 128
#define INDEX_BYTES (TOKENS * 2)
#define DIGITS "0\0001\0002\0003\0004\0005\0006\0007\0008\0009" // and a NUL
#define NAMES_PER_MARKER 256
// Of so many names in a row: each has a length, a type and a character, at least.
#define MARKER_MIN_STEP (3 * NAMES_PER_MARKER)
#define MARKER_MAX_STEP ((2 + SYMBOL_NAME_MAX) * NAMES_PER_MARKER)
// Between the markers and the tokens: three bytes for each symbol, in some versions.
#define GAP_MAX_BYTES (8 * MIB)
#define NUM_SYMS_MAX (4 * MIB)
// What looks right at first and then is not: a file that has more of it was made for that.
#define ATTEMPTS 64

struct kallsyms {
	struct image_span kernel;
	size_t table, index; // where they are in the kernel
	size_t markers;
	uint32_t marker_count;
	size_t names, names_end;
	size_t num_syms_at;
	uint32_t num_syms;
	size_t offsets;
	uint64_t base;
	bool negative; // CONFIG_KALLSYMS_ABSOLUTE_PERCPU: offsets below 0 count downwards from -1
};

static bool has(const struct kallsyms *k, size_t at, size_t bytes)
{
	return at <= k->kernel.size_bytes && bytes <= k->kernel.size_bytes - at;
}

static uint32_t word_at(const struct kallsyms *k, size_t at)
{
	return has(k, at, 4) ? load_le32(k->kernel.data + at) : 0;
}

// -- tokens --

static size_t token_at(const struct kallsyms *k, unsigned token)
{
	return k->table + load_le16(k->kernel.data + k->index + 2 * (size_t)token);
}

// The place behind the string at @at, or 0.
static size_t string_end(const struct kallsyms *k, size_t at)
{
	size_t room = at < k->kernel.size_bytes ? k->kernel.size_bytes - at : 0;
	size_t len = strnlen((const char *)k->kernel.data + at, MIN(room, TOKEN_MAX_BYTES + 1UL));

	return len < MIN(room, TOKEN_MAX_BYTES + 1UL) ? at + len + 1 : 0;
}

// Whether token_index at k->index tells where the strings from k->table on begin.
static bool index_fits(const struct kallsyms *k)
{
	size_t at = k->table;

	if (!has(k, k->index, INDEX_BYTES))
		return false;
	for (unsigned token = 0; token < TOKENS && at; token++) {
		if (token_at(k, token) != at)
			return false;
		at = string_end(k, at);
	}
	return at;
}

// The digits' strings are at @digits; the place of token 1, back from there, or 0: those are
// no tokens. Where token 0 begins only token_index tells: nothing ends what comes before.
static size_t find_second(const struct kallsyms *k, size_t digits)
{
	const uint8_t *data = k->kernel.data;
	size_t at = digits;

	for (unsigned token = 1; token < '0'; token++) {
		size_t begin = at;

		while (begin > 1 && at - begin <= TOKEN_MAX_BYTES && data[begin - 2])
			begin--;
		if (begin <= 1 || at - begin > TOKEN_MAX_BYTES)
			return 0;
		at = begin - 1;
	}
	return at;
}

static size_t table_end(const struct kallsyms *k, size_t second)
{
	size_t at = second;

	for (unsigned token = 1; token < TOKENS && at; token++)
		at = string_end(k, at);
	return at;
}

static bool find_index(struct kallsyms *k, size_t second)
{
	size_t end = table_end(k, second);

	for (k->index = align_up(end, 2); end && k->index < end + 8; k->index += 2) {
		size_t first_bytes =
			has(k, k->index, 4) ? load_le16(k->kernel.data + k->index + 2) : SIZE_MAX;

		if (first_bytes > second)
			continue;
		k->table = second - first_bytes;
		if (index_fits(k))
			return true;
	}
	return false;
}

static bool find_tokens(struct kallsyms *k)
{
	size_t at = 0;

	for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
		const uint8_t *hit = memmem(k->kernel.data + at, k->kernel.size_bytes - at, DIGITS,
					    sizeof(DIGITS));
		size_t second;

		if (!hit)
			return false;
		at = (size_t)(hit - k->kernel.data);
		second = find_second(k, at);
		if (second && find_index(k, second))
			return true;
		at++;
	}
	return false;
}

// -- markers and names --

// Moves k->markers down to a 0 that begins a row of numbers that grow as those of markers do.
static bool find_markers(struct kallsyms *k, size_t below)
{
	size_t lowest = k->table > GAP_MAX_BYTES ? k->table - GAP_MAX_BYTES : 0;
	uint32_t count = 1;

	for (size_t at = align_down(below, 4); at >= lowest + 8; at -= 4) {
		uint32_t step = word_at(k, at - 4) - word_at(k, at - 8);

		count = step >= MARKER_MIN_STEP && step <= MARKER_MAX_STEP ? count + 1 : 1;
		if (count < 2 || word_at(k, at - 8))
			continue;
		k->markers = at - 8;
		k->marker_count = count;
		return true;
	}
	return false;
}

// The place and length of the name at @at; returns the place behind it, or 0.
static size_t read_name(const struct kallsyms *k, size_t at, size_t *tokens, size_t *len)
{
	const uint8_t *data = k->kernel.data;

	if (at + 2 > k->markers)
		return 0;
	*len = data[at++];
	if (*len & 0x80)
		*len = (*len & 0x7f) | (size_t)data[at++] << 7;
	*tokens = at;
	return *len && at + *len <= k->markers ? at + *len : 0;
}

static bool names_fit(struct kallsyms *k)
{
	size_t at = k->names, tokens, len;

	for (uint32_t i = 0; i < k->num_syms; i++) {
		if (i % NAMES_PER_MARKER == 0 &&
		    word_at(k, k->markers + 4ULL * (i / NAMES_PER_MARKER)) != at - k->names)
			return false;
		at = read_name(k, at, &tokens, &len);
		if (!at)
			return false;
	}
	k->names_end = at;
	return true;
}

// More or fewer would need more or fewer markers; one of these may be chance.
static bool num_syms_fits(const struct kallsyms *k, uint32_t num_syms)
{
	return num_syms <= NUM_SYMS_MAX && num_syms <= k->marker_count * NAMES_PER_MARKER &&
	       num_syms + 2 * NAMES_PER_MARKER > k->marker_count * NAMES_PER_MARKER;
}

// Looks downwards from the highest place where the names can begin.
static bool find_names(struct kallsyms *k)
{
	uint32_t last = word_at(k, k->markers + 4ULL * (k->marker_count - 1));
	uint64_t bytes = (uint64_t)last + MARKER_MAX_STEP;
	size_t lowest = k->markers > bytes ? k->markers - bytes : 0;
	unsigned attempts = 0;

	for (size_t at = align_down(k->markers, 4); at >= lowest + 8 && attempts < ATTEMPTS;
	     at -= 4)
		for (unsigned before = 4; before <= 8; before += 4) {
			k->num_syms_at = at - before;
			k->num_syms = word_at(k, at - before);
			k->names = at;
			if (!num_syms_fits(k, k->num_syms) || !k->num_syms)
				continue;
			attempts++;
			if (names_fit(k))
				return true;
		}
	return false;
}

static bool find_names_by_markers(struct kallsyms *k)
{
	size_t below = k->table;

	for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
		if (!find_markers(k, below))
			return false;
		if (find_names(k))
			return true;
		below = k->markers + 4;
	}
	return false;
}

// -- addresses --

static int32_t offset_of(const struct kallsyms *k, uint32_t number)
{
	return (int32_t)word_at(k, k->offsets + 4ULL * number);
}

static uint64_t address_of(const struct kallsyms *k, uint32_t number)
{
	int32_t offset = offset_of(k, number);

	if (!k->negative)
		return k->base + (uint32_t)offset;
	return offset < 0 ? k->base - 1 - (uint64_t)(int64_t)offset : (uint64_t)offset;
}

// They are sorted by address.
static bool offsets_fit(struct kallsyms *k, size_t offsets, size_t base)
{
	if (!has(k, offsets, 4ULL * k->num_syms) || !has(k, base, 8))
		return false;
	k->offsets = offsets;
	k->base = load_le64(k->kernel.data + base);
	k->negative = offset_of(k, k->num_syms - 1) < 0;
	for (uint32_t i = 1; i < k->num_syms; i++)
		if (address_of(k, i) < address_of(k, i - 1))
			return false;
	return address_of(k, k->num_syms - 1) != address_of(k, 0);
}

static bool find_offsets(struct kallsyms *k)
{
	uint64_t bytes = 4ULL * k->num_syms;
	size_t behind = align_up(k->index + INDEX_BYTES, 8);
	size_t before = align_down(k->num_syms_at, 8);

	if (offsets_fit(k, behind, align_up(behind + bytes, 8)))
		return true;
	if (before < 8 + align_up(bytes, 8))
		return false;
	return offsets_fit(k, before - 8 - align_up(bytes, 8), before - 8);
}

// -- the symbols --

// The type and the name, without a NUL; returns the length, cut off at @room.
static size_t expand(const struct kallsyms *k, size_t tokens, size_t count, char *text, size_t room)
{
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *token = k->kernel.data + token_at(k, k->kernel.data[tokens + i]);

		for (; *token && used < room; token++)
			text[used++] = (char)*token;
	}
	return used;
}

static int add(struct symbols *symbols, const struct kallsyms *k, uint32_t number, size_t tokens,
	       size_t count)
{
	char text[1 + SYMBOL_NAME_MAX];
	size_t len = expand(k, tokens, count, text, sizeof(text));

	if (len < 2 || !strchr("tTwW", text[0]))
		return 0;
	return symbols_add(symbols, address_of(k, number), text + 1, len - 1,
			   isupper((unsigned char)text[0]));
}

static int add_all(struct symbols *symbols, const struct kallsyms *k, const char *path)
{
	size_t at = k->names, tokens = 0, count = 0;
	int rc = 0;

	for (uint32_t i = 0; i < k->num_syms && !rc; i++) {
		at = read_name(k, at, &tokens, &count);
		rc = add(symbols, k, i, tokens, count);
	}
	return rc ? symbols_add_failed(path, rc) : 0;
}

int symbols_read_kallsyms(struct symbols *symbols, const char *path, struct image_span kernel)
{
	struct kallsyms k = { .kernel = kernel };

	if (!find_tokens(&k) || !find_names_by_markers(&k) || !find_offsets(&k))
		return -ENODATA;
	return add_all(symbols, &k, path);
}
