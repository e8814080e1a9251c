// SPDX-License-Identifier: GPL-2.0-or-later
// Control and status registers that S and U mode see. Own thread.
#ifndef KVIK_SOFT_CSR_H
#define KVIK_SOFT_CSR_H

#include <stdbool.h>
#include <stdint.h>

struct hart;

// Numbers (privileged ISA table 3; unprivileged ISA ch. 34).
enum csr {
	CSR_FFLAGS = 0x001,
	CSR_FRM = 0x002,
	CSR_FCSR = 0x003,
	CSR_SSTATUS = 0x100,
	CSR_SIE = 0x104,
	CSR_STVEC = 0x105,
	CSR_SCOUNTEREN = 0x106,
	CSR_SENVCFG = 0x10a,
	CSR_SSCRATCH = 0x140,
	CSR_SEPC = 0x141,
	CSR_SCAUSE = 0x142,
	CSR_STVAL = 0x143,
	CSR_SIP = 0x144,
	CSR_STIMECMP = 0x14d,
	CSR_SATP = 0x180,
	CSR_CYCLE = 0xc00,
	CSR_TIME = 0xc01,
	CSR_INSTRET = 0xc02,
};

// Whether the hart's mode may access the CSR number at all, @writes included.
bool csr_is_accessible(const struct hart *h, unsigned csr, bool writes);
// False: no such CSR, or not in this state (FS Off, counters off). An instruction that
// writes reads first, into h->scratch.
bool csr_read(struct hart *h, unsigned csr, uint64_t *value);
bool csr_write(struct hart *h, unsigned csr, uint64_t value);

#endif
