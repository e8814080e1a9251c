// SPDX-License-Identifier: GPL-2.0-or-later
// Traps that the program takes, and runs of code in a frame.
#include "guest.h"

void trap_in_kernel(void);

void catch_traps(void)
{
	struct hart *hart = this_hart();

	hart->traps = 0;
	hart->trap = (struct trap){ 0 };
	hart->catching = true;
	__asm__ volatile("" ::: "memory");
}

unsigned catch_end(void)
{
	__asm__ volatile("" ::: "memory");
	this_hart()->catching = false;
	return this_hart()->traps;
}

void show_trap(const char *label)
{
	const struct hart *hart = this_hart();

	if (!hart->traps) {
		print("%s: no trap\n", label);
		return;
	}
	print("%s: cause %x stval %x spp %d spie %d\n", label, hart->trap.scause, hart->trap.stval,
	      hart->trap.sstatus >> 8 & 1, hart->trap.sstatus >> 5 & 1);
	if (hart->traps != 1)
		print("%s: %d traps\n", label, (uint64_t)hart->traps);
}

static bool is_fetch_fault(uint64_t cause)
{
	return cause == CAUSE_FETCH_MISALIGNED || cause == CAUSE_FETCH_ACCESS ||
	       cause == CAUSE_FETCH_PAGE;
}

static uint64_t instruction_bytes(uint64_t pc)
{
	return (*(volatile uint16_t *)pc & 3) == 3 ? 4 : 2;
}

static void die_of_trap(const struct frame *f)
{
	print("unexpected trap: cause %x stval %x sepc %x ra %x\n", f->scause, f->stval, f->sepc,
	      f->x[1]);
	power_off();
}

// A breakpoint may leave stval 0 or the pc (privileged spec 3.1.16): 0 here.
static void hide_choices(struct frame *f)
{
	if (f->scause == CAUSE_BREAKPOINT && f->stval == f->sepc)
		f->stval = 0;
}

void trap_in_kernel(void)
{
	struct hart *hart = this_hart();
	struct frame *f = &hart->frame;

	if (!hart->catching || hart->in_trap)
		die_of_trap(f);
	hart->in_trap = true;
	hide_choices(f);
	hart->traps++;
	hart->trap = (struct trap){ f->scause, f->sepc, f->stval, f->sstatus };
	if (f->scause & CAUSE_INTERRUPT)
		f->sstatus &= ~SSTATUS_SPIE; // it is still pending: a wfi sees it, but no trap
	else if (is_fetch_fault(f->scause))
		f->sepc = f->x[1];
	else
		f->sepc += instruction_bytes(f->sepc);
	hart->in_trap = false;
}

void run_at(uint64_t pc, uint64_t sstatus)
{
	struct frame *f = &this_hart()->frame;

	f->sepc = pc;
	f->sstatus = sstatus;
	enter_frame();
	hide_choices(f);
}
