// SPDX-License-Identifier: GPL-2.0-or-later
// A place to run arbitrary instructions in.
#include "sandbox.h"

// The pool gives pages in a row.
static void *alloc_pages(unsigned n)
{
	void *first = page_alloc();

	while (--n)
		page_alloc();
	return first;
}

void sandbox_init(struct sandbox *box, bool user)
{
	pte_t *root = page_root();
	uint64_t mode = user ? PTE_U : 0;

	box->code = alloc_pages(SANDBOX_CODE_BYTES / PAGE);
	box->data = alloc_pages(SANDBOX_DATA_BYTES / PAGE);
	for (uint64_t at = 0; at < SANDBOX_CODE_BYTES; at += PAGE)
		page_map(root, SANDBOX_CODE + at, (uint64_t)box->code + at, 0,
			 PTE_V | PTE_R | PTE_X | PTE_A | mode);
	for (uint64_t at = 0; at < SANDBOX_DATA_BYTES; at += PAGE)
		page_map(root, SANDBOX_DATA + at, (uint64_t)box->data + at, 0, PTE_RW | mode);
	page_use(root);
	box->sstatus = SSTATUS_FS | (user ? 0 : SSTATUS_SPP);
}

void sandbox_run(struct sandbox *box, uint64_t pc)
{
	csr_write("fcsr", box->fcsr);
	fp_load(box->f);
	run_at(pc, box->sstatus);
	fp_save(box->f);
	box->fcsr = csr_read("fcsr");
}

void sandbox_record(const struct sandbox *box, uint64_t a, uint64_t b)
{
	const struct frame *f = &this_hart()->frame;

	record(f->scause, a, b, 0);
	record(f->stval, a, b, 1);
	record(f->sepc, a, b, 2);
	record(box->fcsr, a, b, 3);
	for (unsigned i = 1; i < 32; i++)
		record(f->x[i], a, b, 0x100 + i);
	for (unsigned i = 0; i < 32; i++)
		record(box->f[i], a, b, 0xf00 + i);
}
