// SPDX-License-Identifier: GPL-2.0-or-later
// The options that a VM is started with: collecting, applying, and writing them as JSON.

#include "run-config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "run-config-priv.h"

// -- collecting --

int run_config_append(struct run_config *config, const struct option_spec *spec, const char *text,
		      bool from_file)
{
	char *copy = text ? strdup(text) : NULL;
	struct setting *settings =
		reallocarray(config->settings, config->count + 1, sizeof(*settings));

	if (settings)
		config->settings = settings;
	if (!settings || (text && !copy)) {
		free(copy);
		return fail(ENOMEM, "--%s", spec->long_name);
	}
	settings[config->count++] =
		(struct setting){ .spec = spec, .text = copy, .from_file = from_file };
	return 0;
}

static int take(struct option_sink *sink, const struct option_spec *spec, const char *argument)
{
	struct run_config *config = container_of(sink, struct run_config, sink);

	return run_config_append(config, spec, argument, false);
}

void run_config_init(struct run_config *config, const struct option_spec *options)
{
	*config = (struct run_config){ .sink.take = take, .options = options };
}

void run_config_free(struct run_config *config)
{
	for (unsigned i = 0; i < config->count; i++)
		free(config->settings[i].text);
	free(config->settings);
	free(config->file_path);
}

static const struct option_spec *find(const struct run_config *config, const char *long_name)
{
	const char *rest;

	return option_find(config->options, long_name, &rest);
}

int run_config_add(struct run_config *config, const char *long_name, const char *text)
{
	return run_config_append(config, find(config, long_name), text, false);
}

// Where an option is given more than once and does not add up, the last one counts.
static const struct setting *last_of(const struct run_config *config,
				     const struct option_spec *spec)
{
	for (unsigned i = config->count; i-- > 0;)
		if (config->settings[i].spec == spec)
			return &config->settings[i];
	return NULL;
}

const char *run_config_text(const struct run_config *config, const char *long_name)
{
	const struct setting *setting = last_of(config, find(config, long_name));

	return setting ? setting->text : NULL;
}

// -- applying --

// An option's parser does not know where its argument comes from.
static int apply_from_file(const struct run_config *config, const struct setting *setting)
{
	char prefix[PATH_MAX + 32];
	int err;

	snprintf(prefix, sizeof(prefix), "kvik run: --config %s", config->file_path);
	log_set_prefix(prefix);
	err = option_set(setting->spec, setting->text);
	log_set_prefix("kvik run");
	return err;
}

int run_config_apply(const struct run_config *config)
{
	int err = 0;

	for (unsigned i = 0; !err && i < config->count; i++) {
		const struct setting *setting = &config->settings[i];

		err = setting->from_file ? apply_from_file(config, setting) :
					   option_set(setting->spec, setting->text);
	}
	return err;
}

// -- writing --

// Whether @text is what JSON's number of the same value is written as.
static bool is_plain_number(const char *text, json_int_t *number)
{
	size_t digits = strspn(text, "0123456789");

	errno = 0;
	*number = strtoll(text, NULL, 10);
	return digits && !text[digits] && !errno && (text[0] != '0' || digits == 1);
}

// Whoever reads it may be elsewhere.
static json_t *json_path(const char *path)
{
	char directory[PATH_MAX];

	if (path[0] == '/' || !path[0] || !getcwd(directory, sizeof(directory)))
		return json_string(path);
	return json_sprintf("%s/%s", strcmp(directory, "/") ? directory : "", path);
}

static json_t *json_argument(const struct setting *setting)
{
	json_int_t number;

	if (!setting->text)
		return json_true();
	if (takes_number(setting->spec) && is_plain_number(setting->text, &number))
		return json_integer(number);
	return setting->spec->flags & OPTION_PATH ? json_path(setting->text) :
						    json_string(setting->text);
}

static json_t *json_list(const struct run_config *config, const struct option_spec *spec)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < config->count; i++) {
		const struct setting *setting = &config->settings[i];

		if (setting->spec != spec || !json_array_append_new(list, json_argument(setting)))
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

// Each name that begins with the prefix is an option of its own.
static int write_prefixed(const struct run_config *config, const struct option_spec *spec,
			  json_t *object)
{
	int err = 0;

	for (unsigned i = 0; !err && i < config->count; i++) {
		const struct setting *setting = &config->settings[i];
		json_t *name;

		if (setting->spec != spec)
			continue;
		name = json_sprintf("%s%s", spec->long_name, setting->text);
		err = json_object_set_new(object, json_string_value(name), json_true());
		json_decref(name);
	}
	return err;
}

static int write_option(const struct run_config *config, const struct option_spec *spec,
			json_t *object)
{
	const struct setting *setting = last_of(config, spec);

	if (!setting)
		return 0;
	if (spec->kind == OPTION_PREFIX)
		return write_prefixed(config, spec, object);
	return json_object_set_new(object, spec->long_name,
				   spec->flags & OPTION_REPEATED ? json_list(config, spec) :
								   json_argument(setting));
}

json_t *run_config_json(const struct run_config *config)
{
	json_t *object = json_object();

	for (const struct option_spec *spec = config->options; spec->kind != OPTION_END; spec++) {
		if (!write_option(config, spec, object))
			continue;
		json_decref(object);
		return NULL;
	}
	return object;
}
