// SPDX-License-Identifier: GPL-2.0-or-later
// What the fuzzers of whole machines share: a terminal, a sink for power requests, and a
// script of steps of 12 bytes.
#ifndef KVIK_FUZZ_MACHINE_H
#define KVIK_FUZZ_MACHINE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "term.h"
#include "vcpu.h"

#define MAX_STEPS 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// -- a terminal that takes as much as the script says, in place of the real one --

struct term {
	struct term_frontend frontend;
	size_t room;
};

void term_connect(struct term *term, const struct term_frontend *frontend)
{
	term->frontend = *frontend;
}

size_t term_write(struct term *term, const uint8_t *data, size_t len)
{
	uint8_t sum = 0;

	len = MIN(len, term->room);
	for (size_t i = 0; i < len; i++) // all of it can be read
		sum += data[i];
	term->room -= len + (sum & 0);
	return len;
}

size_t term_read(struct term *term, uint8_t *data, size_t len)
{
	len = MIN(len, term->room);
	memset(data, 'r', len);
	return len;
}

void term_input_ready(struct term *term)
{
}

// -- power --

static void request_power(void *opaque, enum vcpu_exit what)
{
	if (what != VCPU_EXIT_SHUTDOWN && what != VCPU_EXIT_RESET)
		abort();
}

// -- the script --

struct step {
	uint8_t op;
	uint8_t choice;
	uint16_t offset;
	uint64_t value;
} __attribute__((packed));

// Something is typed, or there is room for output again.
static void use_terminal(struct term *term, const struct step *step)
{
	if (step->choice & 1) {
		term->frontend.input(term->frontend.opaque, (const uint8_t *)&step->value,
				     step->offset % 9);
		return;
	}
	term->room = step->offset % 64;
	term->frontend.output_ready(term->frontend.opaque);
}

struct rig;

static void run_script(struct rig *rig, void (*run_step)(struct rig *rig, const struct step *step),
		       const uint8_t *data, size_t size)
{
	struct step step;

	for (unsigned i = 0; i < MAX_STEPS && size >= sizeof(step); i++) {
		memcpy(&step, data, sizeof(step));
		run_step(rig, &step);
		data += sizeof(step);
		size -= sizeof(step);
	}
}

#endif
