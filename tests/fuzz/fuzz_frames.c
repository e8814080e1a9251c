// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes what a helper may write to its socket: frames, and references to the memory that it
// shares.

#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "iov.h"

#define AREA_BYTES 4096
#define BUFFER_BYTES (2 * FRAME_BYTES_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Memory that ends where the area does, so that a byte beyond it is found.
static struct frames_area make_area(size_t size_bytes)
{
	return (struct frames_area){ .data = calloc(1, size_bytes), .size_bytes = size_bytes };
}

static size_t read_all(const struct iovec pieces[FRAME_PIECES])
{
	static uint8_t copy[FRAME_BYTES_MAX];

	return iov_to_buf(pieces, FRAME_PIECES, 0, copy, sizeof(copy));
}

// The first byte says whether there is an area.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frames_buffer in;
	struct iovec pieces[FRAME_PIECES];
	ssize_t length;

	if (!size || frames_buffer_init(&in, BUFFER_BYTES))
		return 0;
	if (data[0] & 1)
		in.area = make_area(AREA_BYTES);
	in.end = MIN(size - 1, (size_t)BUFFER_BYTES);
	memcpy(in.data, data + 1, in.end);
	while ((length = frames_next_pieces(&in, pieces)) > 0)
		if (read_all(pieces) != (size_t)length)
			abort();
	free(in.area.data);
	frames_buffer_exit(&in);
	return 0;
}
