// SPDX-License-Identifier: GPL-2.0-or-later
// The values of kvik run's options: from text to what struct vm_config has.

#include "run-values.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "instance.h"
#include "log.h"
#include "options.h"
#include "vm-config.h"

#define MEMORY_MIN_BYTES (16 * MIB)
#define PAGE_BYTES (4 * KIB)
#define TLB_MAX_ENTRIES 64
#define SVE_MAX_BITS 2048
#define CODE_CACHE_MIN_BYTES (64 * KIB)

static int bad_value(const char *option, const char *value, const char *why)
{
	return fail_msg(EINVAL, "%s %s: %s", option, value, why);
}

static int parse_count(const char *text, unsigned max, unsigned *count)
{
	unsigned long value;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value < 1 || value > max)
		return -EINVAL;
	*count = (unsigned)value;
	return 0;
}

int run_parse_cpus(void *value, const char *argument)
{
	static_assert(RUN_CPUS_MAX == 64, "the message says so");
	if (parse_count(argument, RUN_CPUS_MAX, value))
		return bad_value("--cpus", argument, "is not a number of vCPUs; give 1 to 64");
	return 0;
}

// "0-3,7": the kernel's list format (admin-guide/kernel-parameters.rst), without strides.
static int parse_cpu_list(const char *text, cpu_set_t *set)
{
	CPU_ZERO(set);
	for (const char *at = text;; at++) {
		unsigned long first, last;
		char *end;

		if (*at < '0' || *at > '9')
			return -EINVAL;
		first = last = strtoul(at, &end, 10);
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			last = strtoul(end + 1, &end, 10);
		if (first > last || last >= CPU_SETSIZE)
			return -EINVAL;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, set);
		at = end;
		if (!*at)
			return 0;
		if (*at != ',')
			return -EINVAL;
	}
}

int run_parse_cpu_list(void *value, const char *argument)
{
	if (parse_cpu_list(argument, value))
		return bad_value("--vcpu-affinity", argument,
				 "is not a list of CPUs; give one such as 0-3,7");
	return 0;
}

int run_parse_memory(void *value, const char *argument)
{
	uint64_t *bytes = value;
	int err = parse_size(argument, MIB, bytes);

	if (err == -ERANGE)
		return bad_value("--mem", argument, "is more than 64 bits can say; give less");
	if (err)
		return bad_value("--mem", argument,
				 "is not a size; give a number of MiB, or a "
				 "number with a unit, such as 512M or 2G");
	if (*bytes < MEMORY_MIN_BYTES)
		return bad_value("--mem", argument,
				 "is too little for a guest; give at least "
				 "16M");
	if (*bytes % PAGE_BYTES)
		return bad_value("--mem", argument, "is not a multiple of 4K; round it");
	return 0;
}

// Looks @argument up among the @count names that @name_of yields.
static int parse_choice(const char *option, const char *argument, const char *const *names,
			unsigned count, const char *remedy)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(argument, names[i]) == 0)
			return (int)i;
	}
	return bad_value(option, argument, remedy);
}

int run_parse_console(void *value, const char *argument)
{
	static const char *const names[] = { "serial", "virtio" };
	int choice = parse_choice("--console", argument, names, ARRAY_SIZE(names),
				  "is not a console; use serial or virtio");

	static_assert(ARRAY_SIZE(names) == CONSOLE_COUNT, "a name for each kind");
	if (choice < 0)
		return choice;
	*(enum console_kind *)value = (enum console_kind)choice;
	return 0;
}

int run_parse_accel(void *value, const char *argument)
{
	const char *names[ACCEL_COUNT];
	int choice;

	for (unsigned i = 0; i < ACCEL_COUNT; i++)
		names[i] = accel_kind_name((enum accel_kind)i);
	choice = parse_choice("--accel", argument, names, ACCEL_COUNT,
			      "is not an accelerator; use auto, kvm or soft");
	if (choice < 0)
		return choice;
	*(enum accel_kind *)value = (enum accel_kind)choice;
	return 0;
}

int run_parse_satp_mode(void *value, const char *argument)
{
	static const char *const names[] = { "sv39", "sv48", "sv57" };
	static const unsigned bits[] = { 39, 48, 57 };
	int choice = parse_choice("--satp-mode", argument, names, ARRAY_SIZE(names),
				  "is not an address mode; use sv39, sv48 or sv57");

	if (choice < 0)
		return choice;
	*(unsigned *)value = bits[choice];
	return 0;
}

static int parse_number(const char *option, const char *argument, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(argument, &end, 0);
	if (argument[0] < '0' || argument[0] > '9' || *end || errno)
		return bad_value(option, argument,
				 "is not a number of 64 bits; give one such as "
				 "1234 or 0x4d2");
	return 0;
}

int run_parse_kaslr_seed(void *value, const char *argument)
{
	return parse_number("--kaslr-seed", argument, value);
}

int run_parse_sve_max_vl(void *value, const char *argument)
{
	static_assert(SVE_MAX_BITS == 2048, "the message says so");
	if (parse_count(argument, SVE_MAX_BITS, value))
		return bad_value("--sve-max-vl", argument,
				 "is not a vector length; give a multiple of 128 bits, up to 2048");
	return 0;
}

int run_parse_name(void *value, const char *argument)
{
	static_assert(INSTANCE_NAME_MAX == 64, "the message says so");
	if (!instance_name_is_valid(argument))
		return bad_value("--name", argument,
				 "is not a name; use 1 to 64 letters, digits, "
				 "'.', '_' or '-', the first not a '.' or '-'");
	*(const char **)value = argument;
	return 0;
}

int run_parse_loglevel(void *value, const char *argument)
{
	enum log_level level;

	if (log_parse_level(argument, &level))
		return bad_value("--loglevel", argument,
				 "is not a level; use error, warning, info or debug");
	log_set_level(level);
	return 0;
}

int run_add_name(void *value, const char *argument)
{
	struct name_list *list = value;
	const char **names = reallocarray(list->names, list->count + 1, sizeof(*names));

	if (!names)
		return fail(ENOMEM, "%s", argument);
	list->names = names;
	names[list->count++] = argument;
	return 0;
}

// "0x1234" or "4660"; never 0, which stands for the host's own.
int run_parse_id(void *value, const char *argument)
{
	uint64_t *id = value;
	char *end;

	errno = 0;
	*id = strtoull(argument, &end, 0);
	if (errno || *end || argument[0] < '0' || argument[0] > '9' || !*id)
		return bad_value("--custom-m*id", argument,
				 "is not an id; give a number other than 0, such as 0x1f");
	return 0;
}

int run_parse_soft_tlb(void *value, const char *argument)
{
	unsigned *entries = value;

	if (parse_count(argument, TLB_MAX_ENTRIES, entries))
		return bad_value("--soft-tlb", argument,
				 "is not a number of entries; give one from 1 to 64");
	return 0;
}

int run_parse_soft_code_cache(void *value, const char *argument)
{
	uint64_t *bytes = value;

	if (parse_size(argument, 1, bytes) || *bytes < CODE_CACHE_MIN_BYTES)
		return bad_value("--soft-code-cache", argument,
				 "is not a size of at least 64 KiB; give one such as 64K or 16M");
	return 0;
}
