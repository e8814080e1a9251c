// SPDX-License-Identifier: GPL-2.0-or-later
// Runs arbitrary instructions in an address space of their own and gives back
// every register, whatever they do.
#ifndef GUEST_SANDBOX_H
#define GUEST_SANDBOX_H

#include "guest.h"

#define SANDBOX_CODE 0x10000000UL // virtual; read and execute
#define SANDBOX_CODE_BYTES (2 * PAGE)
#define SANDBOX_DATA 0x20000000UL // virtual; read and write
#define SANDBOX_DATA_BYTES (2 * PAGE)

#define EBREAK 0x00100073U
#define C_EBREAK 0x9002U

struct sandbox {
	uint16_t *code; // the code and the data as the program sees them
	uint64_t *data;
	uint64_t sstatus;
	uint64_t f[32];
	uint64_t fcsr;
};

// Maps the sandbox, for U mode or for S mode, and turns paging on.
void sandbox_init(struct sandbox *box, bool user);
// Runs from @pc on this hart's frame and @box's f registers up to the next trap,
// which is left in the frame. After new code: fence_i() first.
void sandbox_run(struct sandbox *box, uint64_t pc);
// Records all registers; a and b tell which run it was.
void sandbox_record(const struct sandbox *box, uint64_t a, uint64_t b);

#endif
