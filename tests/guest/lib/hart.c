// SPDX-License-Identifier: GPL-2.0-or-later
// More harts, by the SBI's HSM extension.
#include "guest.h"
#include "layout.h"

#define STACK_BYTES 8192

_Static_assert(offsetof(struct hart, frame.sepc) == HART_SEPC, "layout.h");
_Static_assert(offsetof(struct hart, frame.scause) == HART_SCAUSE, "layout.h");
_Static_assert(offsetof(struct hart, frame.stval) == HART_STVAL, "layout.h");
_Static_assert(offsetof(struct hart, frame.sstatus) == HART_SSTATUS, "layout.h");
_Static_assert(offsetof(struct hart, context) == HART_CONTEXT, "layout.h");
_Static_assert(offsetof(struct hart, inside) == HART_INSIDE, "layout.h");
_Static_assert(offsetof(struct hart, trap_stack) == HART_TRAP_STACK, "layout.h");
_Static_assert(offsetof(struct hart, stack) == HART_STACK, "layout.h");
_Static_assert(offsetof(struct hart, main) == HART_MAIN, "layout.h");
_Static_assert(offsetof(struct hart, vector) == HART_VECTOR, "layout.h");
_Static_assert(offsetof(struct hart, scratch) == HART_SCRATCH, "layout.h");
_Static_assert(offsetof(struct hart, id) == HART_ID, "layout.h");

struct hart harts[MAX_HARTS];
char stacks[MAX_HARTS][STACK_BYTES] __attribute__((aligned(16)));

void secondary_start(void);
void hart_done(void);
void boot_main(void);

static unsigned done; // secondaries that have
static unsigned arrived, generation;

// A hart's main() returned: the boot hart's ends the machine, another's its hart.
void hart_done(void)
{
	struct hart *hart = this_hart();

	if (hart == &harts[0])
		power_off();
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
	sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

void boot_main(void)
{
	put("=== begin ===\n");
	main();
}

static void secondary_main(void)
{
	struct hart *hart = this_hart();

	hart->work(hart->index);
}

static void start_one(unsigned index, uint64_t id, void (*work)(unsigned))
{
	struct hart *hart = &harts[index];

	hart->id = id;
	hart->index = index;
	hart->main = secondary_main;
	hart->work = work;
	hart->stack = (uint64_t)stacks[index] + STACK_BYTES;
	struct sbi_result r = sbi_call(SBI_HSM, 0, id, (uint64_t)secondary_start, (uint64_t)hart, 0, 0);
	if (r.error)
		fatal("cannot start a hart");
}

void run_harts(unsigned n, void (*work)(unsigned index))
{
	uint64_t id = 0;

	done = 0;
	for (unsigned index = 1; index < n; index++, id++) {
		if (id == harts[0].id)
			id++;
		// A hart that just stopped may take a while to be startable again.
		while (sbi_call(SBI_HSM, 2, id, 0, 0, 0, 0).value != 1)
			pause_hart();
		start_one(index, id, work);
	}
	work(0);
	while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) != n - 1)
		pause_hart();
}

void barrier_wait(unsigned n)
{
	unsigned now = __atomic_load_n(&generation, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == n) {
		arrived = 0;
		__atomic_store_n(&generation, now + 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&generation, __ATOMIC_SEQ_CST) == now)
		pause_hart();
}

uint64_t hart_mask(unsigned index)
{
	return 1UL << harts[index].id;
}
