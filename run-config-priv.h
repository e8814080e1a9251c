// SPDX-License-Identifier: GPL-2.0-or-later
// What the halves of run-config.h share.
#ifndef KVIK_RUN_CONFIG_PRIV_H
#define KVIK_RUN_CONFIG_PRIV_H

#include "run-config.h"

static inline bool takes_number(const struct option_spec *spec)
{
	return spec->kind == OPTION_UINT || spec->flags & OPTION_NUMBER;
}

// Adds an option; @text is copied. Returns 0 or -ENOMEM after a message.
int run_config_append(struct run_config *config, const struct option_spec *spec, const char *text,
		      bool from_file) MUST_CHECK;

#endif
