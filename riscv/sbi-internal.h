// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of the SBI implementation share; private to riscv/sbi*.c.
#ifndef KVIK_RISCV_SBI_INTERNAL_H
#define KVIK_RISCV_SBI_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "riscv-accel.h"
#include "sbi.h"
#include "vcpu.h"

// One call while it is answered. A function returns the error code and changes
// these two if need be.
struct sbi_context {
	const struct sbi *sbi;
	struct vcpu *vcpu;
	const uint64_t *args; // a0 to a5
	uint64_t value;       // second return value; a legacy call's only one
	enum vcpu_exit exit;  // VCPU_EXIT_KICKED: the guest goes on
};

struct sbi_extension {
	uint64_t id;
	bool legacy;      // no function id, one return value (SBI 2.0 ch. 5)
	bool needs_harts; // served only where the accelerator leaves harts to us
	unsigned function_count;
	enum sbi_error (*const *functions)(struct sbi_context *context); // by function id
};

// The extensions of each file; together they are what sbi.c serves.
extern const struct sbi_extension sbi_console_extensions[];
extern const unsigned sbi_console_extension_count;
extern const struct sbi_extension sbi_hart_extensions[];
extern const unsigned sbi_hart_extension_count;

#define SBI_EXTENSION(number, table) \
	.id = (number), .functions = (table), .function_count = ARRAY_SIZE(table)

#endif
