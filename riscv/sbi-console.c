// SPDX-License-Identifier: GPL-2.0-or-later
// SBI console calls: DBCN (SBI 2.0 ch. 12), legacy putchar and getchar (5.2, 5.3).
#include <time.h>

#include "memory.h"
#include "sbi-internal.h"
#include "term.h"

// How long a byte waits for a reader of the console before it is given up. A vCPU
// must not stay here: it could be neither paused nor stopped.
#define PUT_TRIES 50
#define PUT_WAIT_NS 1000000

static enum sbi_error put_byte(const struct sbi *sbi, uint8_t byte)
{
	const struct timespec nap = { .tv_nsec = PUT_WAIT_NS };

	if (!sbi->term)
		return SBI_SUCCESS;
	for (unsigned i = 0; i < PUT_TRIES; i++) {
		if (term_write(sbi->term, &byte, 1))
			return SBI_SUCCESS;
		nanosleep(&nap, NULL);
	}
	return SBI_ERR_FAILED;
}

// Arguments: bytes, low and high half of a physical address.
static enum sbi_error find_buffer(const struct sbi_context *context, void **buffer)
{
	// The high half counts in units of 2^XLEN; nothing lies up there.
	if (context->args[2])
		return SBI_ERR_INVALID_PARAM;
	*buffer = memory_ptr(context->sbi->memory, context->args[1], context->args[0]);
	return *buffer ? SBI_SUCCESS : SBI_ERR_INVALID_PARAM;
}

// Takes what there is room for now; the caller tries again with the rest.
static enum sbi_error console_write(struct sbi_context *context)
{
	uint64_t len = context->args[0];
	void *buffer;
	enum sbi_error error;

	if (!len)
		return SBI_SUCCESS;
	error = find_buffer(context, &buffer);
	if (!error)
		context->value = context->sbi->term ? term_write(context->sbi->term, buffer, len) :
						      len;
	return error;
}

static enum sbi_error console_read(struct sbi_context *context)
{
	uint64_t len = context->args[0];
	void *buffer;
	enum sbi_error error;

	if (!len)
		return SBI_SUCCESS;
	error = find_buffer(context, &buffer);
	if (error || !context->sbi->term)
		return error;
	context->value = term_read(context->sbi->term, buffer, len);
	if (context->value)
		memory_mark_written(context->sbi->memory, context->args[1], context->value);
	return SBI_SUCCESS;
}

static enum sbi_error console_write_byte(struct sbi_context *context)
{
	return put_byte(context->sbi, context->args[0]);
}

static enum sbi_error legacy_putchar(struct sbi_context *context)
{
	return put_byte(context->sbi, context->args[0]);
}

static enum sbi_error legacy_getchar(struct sbi_context *context)
{
	uint8_t byte;

	if (!context->sbi->term || !term_read(context->sbi->term, &byte, 1))
		return SBI_ERR_FAILED;
	context->value = byte;
	return SBI_SUCCESS;
}

static enum sbi_error (*const dbcn_functions[])(struct sbi_context *) = {
	console_write,
	console_read,
	console_write_byte,
};
static enum sbi_error (*const putchar_functions[])(struct sbi_context *) = { legacy_putchar };
static enum sbi_error (*const getchar_functions[])(struct sbi_context *) = { legacy_getchar };

const struct sbi_extension sbi_console_extensions[] = {
	{ SBI_EXTENSION(SBI_EXT_DBCN, dbcn_functions) },
	{ SBI_EXTENSION(SBI_EXT_PUTCHAR, putchar_functions), .legacy = true },
	{ SBI_EXTENSION(SBI_EXT_GETCHAR, getchar_functions), .legacy = true },
};
const unsigned sbi_console_extension_count = ARRAY_SIZE(sbi_console_extensions);
