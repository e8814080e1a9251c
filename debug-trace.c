// SPDX-License-Identifier: GPL-2.0-or-later
// Call traces of kvik debug: which file has the kernel's symbols, where the kernel is, and
// what its addresses are called.
//
// A kernel that moves itself (KASLR) is found again by an address that every CPU of it
// holds in a register: the entry of its exceptions or system calls.
#include "debug-trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "symbols.h"

#define PAGE_BYTES 4096

// What "entry" of a vCPU is the address of.
static const struct {
	const char *architecture, *symbol;
} entries[] = {
	{ "riscv64", "handle_exception" },
	{ "arm64", "vectors" },
	{ "x86-64", "entry_SYSCALL_64" },
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static uint64_t address_of(const json_t *object, const char *key)
{
	return strtoull(text_of(object, key), NULL, 16);
}

// -- which file --

static int open_symbols(struct debug_symbols *symbols, const char *path)
{
	int err = symbols_open(&symbols->symbols, path);

	if (err)
		return err;
	symbols->path = strdup(path);
	return symbols->path ? 0 : fail(ENOMEM, "%s: its symbols", path);
}

static int open_wanted(struct debug_symbols *symbols)
{
	int err;

	if (symbols->symbols)
		return 0;
	err = open_symbols(symbols, symbols->wanted_path);
	if (err == -ENODATA)
		return fail_msg(ENODATA,
				"%s: has no symbols: no System.map, no ELF file with a symbol "
				"table and no kernel with kallsyms",
				symbols->wanted_path);
	return err;
}

// Where the symbols of a kernel that carries none may lie.
static const struct {
	const char *directory; // NULL: the kernel's
	const char *name;
	bool has_version; // what the kernel's name has after its first hyphen follows
} places[] = {
	{ NULL, "System.map-", true },
	{ NULL, "vmlinux-", true },
	{ "/usr/lib/debug/boot", "vmlinux-", true },
	{ NULL, "System.map", false },
	{ NULL, "vmlinux", false },
};

static int open_beside(struct debug_symbols *symbols, const char *kernel)
{
	const char *slash = strrchr(kernel, '/'), *hyphen = strchr(slash, '-');
	char *directory = strndup(kernel, (size_t)(slash - kernel)), *path;
	int err = -ENODATA;

	for (unsigned i = 0; directory && i < ARRAY_SIZE(places) && err == -ENODATA; i++) {
		const char *version = places[i].has_version && hyphen ? hyphen + 1 : "";

		if ((places[i].has_version && !hyphen) ||
		    asprintf(&path, "%s/%s%s",
			     places[i].directory ? places[i].directory : directory, places[i].name,
			     version) < 0)
			continue;
		if (!access(path, R_OK))
			err = open_symbols(symbols, path);
		free(path);
	}
	free(directory);
	return err;
}

static void forget(struct debug_symbols *symbols)
{
	symbols_free(symbols->symbols);
	free(symbols->path);
	free(symbols->kernel);
	symbols->symbols = NULL;
	symbols->path = symbols->kernel = NULL;
}

// A relative path is one from the VM's own directory. The caller frees it; NULL: no memory.
static char *kernel_path(const json_t *status)
{
	const char *kernel = text_of(status, "kernel");
	int pid = (int)json_integer_value(json_object_get(status, "pid"));
	char *path;

	if (kernel[0] == '/')
		return strdup(kernel);
	return asprintf(&path, "/proc/%d/cwd/%s", pid, kernel) < 0 ? NULL : path;
}

// Without names the addresses are told all the same: what is wrong is only said.
static void open_own(struct debug_symbols *symbols, const json_t *status)
{
	char *path = kernel_path(status);

	if (!path || (symbols->kernel && strcmp(symbols->kernel, path) == 0)) {
		free(path);
		return;
	}
	forget(symbols);
	symbols->kernel = path;
	if (open_symbols(symbols, path) == -ENODATA)
		(void)open_beside(symbols, path);
}

// -- where the kernel is --

// The symbols are another kernel's when this is not a number of pages.
static bool find_offset(struct debug_symbols *symbols, const char *name, const json_t *vcpus)
{
	uint64_t linked;
	json_t *vcpu;
	size_t i;

	if (!symbols_address(symbols->symbols, name, &linked))
		return false;
	json_array_foreach(vcpus, i, vcpu)
	{
		uint64_t entry = address_of(vcpu, "entry");

		symbols->offset = entry - linked;
		if (entry && symbols->offset % PAGE_BYTES == 0)
			return true;
	}
	symbols->offset = 0;
	return false;
}

static void locate_kernel(struct debug_symbols *symbols, const json_t *status, const json_t *vcpus)
{
	symbols->offset_is_known = symbols->wanted_offset;
	if (symbols->wanted_offset) {
		symbols->offset = strtoull(symbols->wanted_offset, NULL, 16);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		if (strcmp(text_of(status, "architecture"), entries[i].architecture) == 0)
			symbols->offset_is_known = find_offset(symbols, entries[i].symbol, vcpus);
}

int debug_symbols_find(struct debug_symbols *symbols, const json_t *status, const json_t *vcpus)
{
	int err = 0;

	if (symbols->wanted_path)
		err = open_wanted(symbols);
	else
		open_own(symbols, status);
	if (!err && symbols->symbols)
		locate_kernel(symbols, status, vcpus);
	return err;
}

void debug_symbols_free(struct debug_symbols *symbols)
{
	forget(symbols);
}

int debug_parse_offset(void *value, const char *argument)
{
	const char *digits = argument + (strncmp(argument, "0x", 2) == 0 ? 2 : 0);
	size_t len = strlen(digits);

	if (!len || len > 16 || strspn(digits, "0123456789abcdefABCDEF") != len)
		return fail_msg(
			EINVAL,
			"--kaslr-offset %s: is not a hexadecimal number, such as 0x1c000000",
			argument);
	*(const char **)value = argument;
	return 0;
}

// -- names --

static bool is_from(const json_t *entry, const char *source)
{
	return strcmp(text_of(entry, "from"), source) == 0;
}

// A return address may lie behind the end of a function that never returns.
static bool find_place(const struct debug_symbols *symbols, const json_t *entry,
		       struct symbol_place *place)
{
	uint64_t back = is_from(entry, "pc") ? 0 : 1;
	uint64_t address = address_of(entry, "address") - symbols->offset;

	if (!symbols_find(symbols->symbols, address - back, place))
		return false;
	place->offset += back;
	return true;
}

void debug_trace_name(const struct debug_symbols *symbols, json_t *vcpu)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(vcpu, "trace"), i, entry)
	{
		struct symbol_place place;

		if (symbols->symbols && find_place(symbols, entry, &place))
			json_object_set_new(entry, "symbol",
					    json_sprintf("%s+%#llx/%#llx", place.name,
							 (unsigned long long)place.offset,
							 (unsigned long long)place.size_bytes));
	}
}

// -- for people --

static void print_heading(const struct debug_symbols *symbols)
{
	if (!symbols->symbols)
		printf("call trace (no symbols; --symbols names a file that has them):\n");
	else if (!symbols->offset_is_known)
		printf("call trace (symbols of %s, which hold only if the kernel has not moved "
		       "itself: --kaslr-offset says by how much):\n",
		       symbols->path);
	else if (symbols->offset)
		printf("call trace (symbols of %s, moved by %#llx):\n", symbols->path,
		       (unsigned long long)symbols->offset);
	else
		printf("call trace (symbols of %s):\n", symbols->path);
}

// Of what is only guessed, what is in no function is left out.
static bool is_worth_telling(const struct debug_symbols *symbols, const json_t *entry)
{
	return !symbols->symbols || is_from(entry, "pc") || is_from(entry, "frame") ||
	       json_object_get(entry, "symbol");
}

static void print_entry(const json_t *entry, bool in_user_mode)
{
	bool is_guess = is_from(entry, "link") || is_from(entry, "stack");
	const char *symbol = text_of(entry, "symbol");

	printf("%s %s%s%s\n", is_guess ? "?" : " ", text_of(entry, "address"),
	       symbol[0] && !in_user_mode ? "  " : "", in_user_mode ? "  in user mode" : symbol);
}

void debug_trace_print(const struct debug_symbols *symbols, const json_t *vcpu)
{
	const json_t *trace = json_object_get(vcpu, "trace");
	bool in_user_mode = strcmp(text_of(vcpu, "mode"), "user") == 0;
	json_t *entry;
	size_t i;

	if (!json_array_size(trace))
		return;
	print_heading(symbols);
	json_array_foreach(trace, i, entry)
	{
		if (is_worth_telling(symbols, entry))
			print_entry(entry, in_user_mode);
	}
}
