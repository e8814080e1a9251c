// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the console device on a terminal that takes and gives what the script says.

#include "fuzz-virtio.h"
#include "term.h"
#include "virtio-devices.h"

struct term {
	const struct term_frontend *frontend;
	size_t room;
	unsigned sum;
};

static struct fuzz_guest guest;
static struct term the_term;

void term_connect(struct term *term, const struct term_frontend *frontend)
{
	term->frontend = frontend;
}

size_t term_write(struct term *term, const uint8_t *data, size_t len)
{
	size_t taken = MIN(len, term->room);

	for (size_t i = 0; i < taken; i++)
		term->sum += data[i];
	term->room -= taken;
	return taken;
}

void term_input_ready(struct term *term)
{
}

bool term_size(struct term *term, unsigned *columns, unsigned *rows)
{
	*columns = 80;
	*rows = 25;
	return true;
}

// STEP_DEVICE: input, room for output, or another size.
static void step(struct fuzz_guest *g, struct script *script)
{
	const struct term_frontend *frontend = the_term.frontend;
	static const uint8_t input[256];
	uint8_t what = take(script, 1);
	size_t amount = take(script, 2);

	if (what % 3 == 0) {
		amount %= sizeof(input);
		if (frontend->input(frontend->opaque, input, amount) > amount)
			abort();
	} else if (what % 3 == 1) {
		the_term.room = amount;
		frontend->output_ready(frontend->opaque);
	} else {
		frontend->resized(frontend->opaque, amount, what);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_device *vdev;

	if (!guest.vdev) {
		fuzz_guest_init(&guest);
		if (virtio_console_create(&vdev, "console", &guest.memory, &guest.loop, &the_term))
			abort();
		fuzz_guest_attach(&guest, vdev);
		guest.features = 1; // SIZE
		guest.step = step;
	}
	the_term.room = 4096;
	fuzz_run(&guest, data, size);
	return 0;
}
