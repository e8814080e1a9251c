// SPDX-License-Identifier: GPL-2.0-or-later
// The memory that is shared with kvik, in pieces of a ring's size.
#ifndef KVIK_SLIRP_AREA_H
#define KVIK_SLIRP_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"

#define AREA_PIECE_BYTES (512 * KIB)
#define AREA_PIECES_MAX 64

struct area {
	struct frames_area memory;
	uint64_t taken; // bit n: piece n
};

// Maps the area of @fd. 0 or -errno after a message.
int area_open(struct area *area, int fd) MUST_CHECK;
// A piece, or NULL: there is none left.
uint8_t *area_take(struct area *area);
// Its pages are free again.
void area_give(struct area *area, uint8_t *piece);
// Whether these bytes lie there.
bool area_has(const struct area *area, const void *data, size_t len);

#endif
