// SPDX-License-Identifier: GPL-2.0-or-later
// Control and status registers: which bits can be written, and what follows.
#include "csr.h"

#include "fpu.h"
#include "hart.h"
#include "mmu.h"

#define SSTATUS_WRITABLE (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_SUM | SSTATUS_MXR)
#define SENVCFG_WRITABLE (SENVCFG_CBZE | 1) // and FIOM
#define COUNTEREN_WRITABLE 7                // cycle, time, instret
#define STVEC_MODE_MASK 3ULL

bool csr_is_accessible(const struct hart *h, unsigned csr, bool writes)
{
	unsigned lowest_priv = csr >> 8 & 3;

	if (writes && csr >> 10 == 3) // read-only by its number
		return false;
	return lowest_priv <= (unsigned)h->priv;
}

static uint64_t read_sstatus(const struct hart *h)
{
	return h->sstatus | SSTATUS_UXL_64 | (uint64_t)h->fs << SSTATUS_FS_SHIFT |
	       (h->fs == FS_DIRTY ? SSTATUS_SD : 0);
}

static void write_sstatus(struct hart *h, uint64_t value)
{
	uint64_t changed = (h->sstatus ^ value) & SSTATUS_WRITABLE;
	enum fp_state fs = value >> SSTATUS_FS_SHIFT & 3;
	bool fs_changed = fs != h->fs;

	h->sstatus ^= changed;
	h->fs = fs;
	// MXR makes read entries out of pages that are only executable.
	if (changed & SSTATUS_MXR)
		mmu_flush_all(h);
	if (changed & (SSTATUS_SUM | SSTATUS_MXR))
		mmu_select(h);
	if (fs_changed)
		hart_select_fp(h);
}

static uint32_t read_sip(struct hart *h)
{
	if (hart_time(h) >= h->stimecmp)
		hart_set_ip(h, IP_STIP, true);
	return atomic_load(&h->sip);
}

// STIP and SEIP follow their sources. Of SSIP only a change is written: an IPI that
// came since the instruction read sip (into h->scratch) must not be undone by it.
static void write_sip(struct hart *h, uint64_t value)
{
	if ((value ^ h->scratch) & IP_SSIP)
		hart_set_ip(h, IP_SSIP, value & IP_SSIP);
}

static void write_satp(struct hart *h, uint64_t value)
{
	uint64_t mode = value >> 60;

	// A MODE that is not there leaves the register as it was (12.1.11).
	if (mode == 0 || (mode >= RISCV_SATP_SV39 && mode <= h->vm->max_satp_mode))
		mmu_set_satp(h, value);
}

// -- floating point: the flags live in the host's environment --

static bool has_fp(const struct hart *h)
{
	return h->fs != FS_OFF;
}

static void write_frm(struct hart *h, unsigned frm)
{
	h->frm = frm;
	if (frm < FPU_RMM)
		fpu_set_rounding(frm);
}

// -- counters --

static bool counter_is_enabled(const struct hart *h, unsigned csr)
{
	return h->priv == PRIV_S || h->scounteren >> (csr - CSR_CYCLE) & 1;
}

// instret is exact from the first time that anybody looks: from then on the hart
// has handlers that count.
static uint64_t read_instret(struct hart *h)
{
	if (!h->counting)
		hart_count_instructions(h, true);
	return h->instret;
}

static bool read_counter(struct hart *h, unsigned csr, uint64_t *value)
{
	if (!counter_is_enabled(h, csr))
		return false;
	*value = csr == CSR_TIME  ? hart_time(h) :
		 csr == CSR_CYCLE ? soft_elapsed_ns(h->vm) :
				    read_instret(h);
	return true;
}

bool csr_read(struct hart *h, unsigned csr, uint64_t *value)
{
	switch (csr) {
	case CSR_FFLAGS:
		*value = fpu_get_flags();
		return has_fp(h);
	case CSR_FRM:
		*value = h->frm;
		return has_fp(h);
	case CSR_FCSR:
		*value = h->frm << 5 | fpu_get_flags();
		return has_fp(h);
	case CSR_SSTATUS:
		*value = read_sstatus(h);
		return true;
	case CSR_SIE:
		*value = h->sie;
		return true;
	case CSR_STVEC:
		*value = h->stvec;
		return true;
	case CSR_SCOUNTEREN:
		*value = h->scounteren;
		return true;
	case CSR_SENVCFG:
		*value = h->senvcfg;
		return true;
	case CSR_SSCRATCH:
		*value = h->sscratch;
		return true;
	case CSR_SEPC:
		*value = h->sepc;
		return true;
	case CSR_SCAUSE:
		*value = h->scause;
		return true;
	case CSR_STVAL:
		*value = h->stval;
		return true;
	case CSR_SIP:
		*value = read_sip(h);
		return true;
	case CSR_STIMECMP:
		*value = h->stimecmp;
		return true;
	case CSR_SATP:
		*value = h->satp;
		return true;
	case CSR_CYCLE:
	case CSR_TIME:
	case CSR_INSTRET:
		return read_counter(h, csr, value);
	default:
		return false;
	}
}

static void write_fcsr(struct hart *h, unsigned csr, uint64_t value)
{
	h->fs = FS_DIRTY;
	if (csr != CSR_FRM)
		fpu_set_flags(value & 31);
	if (csr != CSR_FFLAGS)
		write_frm(h, (csr == CSR_FCSR ? value >> 5 : value) & 7);
	hart_select_fp(h);
}

bool csr_write(struct hart *h, unsigned csr, uint64_t value)
{
	switch (csr) {
	case CSR_FFLAGS:
	case CSR_FRM:
	case CSR_FCSR:
		write_fcsr(h, csr, value);
		return true;
	case CSR_SSTATUS:
		write_sstatus(h, value);
		return true;
	case CSR_SIE:
		h->sie = value & IP_ALL;
		return true;
	case CSR_STVEC:
		if ((value & STVEC_MODE_MASK) <= 1)
			h->stvec = value;
		return true;
	case CSR_SCOUNTEREN:
		h->scounteren = value & COUNTEREN_WRITABLE;
		return true;
	case CSR_SENVCFG:
		h->senvcfg = value & SENVCFG_WRITABLE;
		return true;
	case CSR_SSCRATCH:
		h->sscratch = value;
		return true;
	case CSR_SEPC:
		h->sepc = value & ~1ULL;
		return true;
	case CSR_SCAUSE:
		h->scause = value;
		return true;
	case CSR_STVAL:
		h->stval = value;
		return true;
	case CSR_SIP:
		write_sip(h, value);
		return true;
	case CSR_STIMECMP:
		hart_set_timer(h, value);
		return true;
	case CSR_SATP:
		write_satp(h, value);
		return true;
	default:
		return false;
	}
}
