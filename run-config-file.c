// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run --config FILE: options from a JSON file.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "run-config-priv.h"

#define FILE_MAX (256 * KIB)
#define VALUE_SHOWN 60 // bytes of a value in a message

// -- the file --

static int open_file(const char *path)
{
	// Without O_NONBLOCK a FIFO would be waited for.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat stat;

	if (fd < 0)
		return fail(errno, "--config: open %s", path);
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		return fd;
	close(fd);
	return fail_msg(EINVAL, "--config %s: is not a regular file; give a file of JSON", path);
}

// Up to @size bytes; fewer only at the file's end. Returns how many, or -errno.
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t done = 0;
	ssize_t got = 1;

	while (done < size && got) {
		got = read(fd, text + done, size - done);
		if (got < 0 && errno != EINTR)
			return -errno;
		done += (size_t)MAX(got, (ssize_t)0);
	}
	return (ssize_t)done;
}

static const char *what_is_wrong(const json_error_t *error)
{
	if (json_error_code(error) == json_error_null_character)
		return "a NUL, which no option can hold";
	return error->text;
}

static int parse(const char *path, const char *text, size_t size, json_t **object)
{
	json_error_t error;

	*object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!*object)
		return fail_msg(EINVAL, "--config %s: line %d, column %d: %s; correct it there",
				path, error.line, error.column, what_is_wrong(&error));
	if (json_is_object(*object))
		return 0;
	json_decref(*object);
	return fail_msg(EINVAL,
			"--config %s: is not a JSON object; 'kvik run --print-config' "
			"shows what it should look like",
			path);
}

static int load(const char *path, json_t **object)
{
	char *text = malloc(FILE_MAX + 1);
	int fd = text ? open_file(path) : fail(ENOMEM, "--config %s", path);
	ssize_t size = fd;
	int err;

	if (fd >= 0) {
		size = read_all(fd, text, FILE_MAX + 1);
		close(fd);
		if (size < 0)
			fail((int)-size, "--config: read %s", path);
	}
	if (size > (ssize_t)FILE_MAX)
		size = fail_msg(EFBIG, "--config %s: is larger than %llu KiB; what is it?", path,
				FILE_MAX / KIB);
	err = size < 0 ? (int)size : parse(path, text, (size_t)size, object);
	free(text);
	return err;
}

// -- its members --

struct member {
	const char *key;
	const json_t *value;
	const struct option_spec *spec;
	const char *rest; // of the key, behind a prefix
	bool overruled;   // by the command line
};

static bool is_switch(const struct option_spec *spec)
{
	return spec->kind == OPTION_FLAG || spec->kind == OPTION_PREFIX;
}

static int bad_member(const struct run_config *config, const struct member *member)
{
	char *value = json_dumps(member->value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
	const struct option_spec *spec = member->spec;
	const char *wanted = is_switch(spec)               ? "true or false" :
			     spec->flags & OPTION_REPEATED ? "an array of strings" :
			     takes_number(spec)            ? "a number or a string" :
							     "a string";

	fail_msg(EINVAL, "--config %s: \"%s\": %.*s%s: is of the wrong kind; give %s",
		 config->file_path, member->key, VALUE_SHOWN, value ? value : "?",
		 value && strlen(value) > VALUE_SHOWN ? "..." : "", wanted);
	free(value);
	return -EINVAL;
}

static int unknown_member(const struct run_config *config, const char *key)
{
	const char *names[256], *near;
	unsigned count = 0;

	for (const struct option_spec *spec = config->options; spec->kind != OPTION_END; spec++)
		if (spec->long_name && spec->kind != OPTION_PREFIX &&
		    !(spec->flags & OPTION_FIRST) && count < ARRAY_SIZE(names))
			names[count++] = spec->long_name;
	near = nearest_name(key, names, count);
	if (near)
		return fail_msg(EINVAL,
				"--config %s: \"%.64s\" is not an option; did you mean \"%s\"?",
				config->file_path, key, near);
	return fail_msg(EINVAL, "--config %s: \"%.64s\" is not an option; see 'kvik run -h'",
			config->file_path, key);
}

// One that cannot be given in a file; see enum option_flags.
static int refused_member(const struct run_config *config, const struct member *member)
{
	return fail_msg(EINVAL, "--config %s: \"%s\" cannot stand in a file; leave it out",
			config->file_path, member->key);
}

static int keep(struct run_config *config, const struct member *member, const char *text)
{
	return member->overruled ? 0 : run_config_append(config, member->spec, text, true);
}

static int add_switch(struct run_config *config, const struct member *member)
{
	if (!json_is_boolean(member->value))
		return bad_member(config, member);
	if (json_is_false(member->value))
		return 0;
	return keep(config, member, *member->rest ? member->rest : NULL);
}

static int add_argument(struct run_config *config, const struct member *member, const json_t *value)
{
	char text[32];

	if (json_is_string(value))
		return keep(config, member, json_string_value(value));
	if (!takes_number(member->spec) || !json_is_integer(value))
		return bad_member(config, member);
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	return keep(config, member, text);
}

static int add_arguments(struct run_config *config, const struct member *member)
{
	json_t *value;
	int err = 0;
	size_t i;

	if (!json_is_array(member->value))
		return bad_member(config, member);
	for (i = 0; !err && i < json_array_size(member->value); i++) {
		value = json_array_get(member->value, i);
		err = add_argument(config, member, value);
	}
	return err;
}

// @count settings are the command line's.
static bool is_given(const struct run_config *config, unsigned count,
		     const struct option_spec *spec)
{
	for (unsigned i = 0; i < count; i++)
		if (config->settings[i].spec == spec && spec->kind != OPTION_PREFIX)
			return true;
	return false;
}

static int add_member(struct run_config *config, const struct member *member)
{
	const struct option_spec *spec = member->spec;

	if (!spec)
		return unknown_member(config, member->key);
	if (spec->flags & OPTION_FIRST)
		return refused_member(config, member);
	if (is_switch(spec))
		return add_switch(config, member);
	if (spec->flags & OPTION_REPEATED)
		return add_arguments(config, member);
	return add_argument(config, member, member->value);
}

int run_config_read(struct run_config *config, const char *path)
{
	unsigned count = config->count;
	json_t *object, *value;
	const char *key;
	int err = load(path, &object);

	if (err)
		return err;
	config->file_path = strdup(path);
	if (!config->file_path)
		err = fail(ENOMEM, "--config %s", path);
	json_object_foreach(object, key, value)
	{
		struct member member = { .key = key, .value = value };

		member.spec = option_find(config->options, key, &member.rest);
		member.overruled = member.spec && is_given(config, count, member.spec);
		if (!err)
			err = add_member(config, &member);
	}
	json_decref(object);
	return err;
}
