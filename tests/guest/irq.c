// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts: timer and software, masks, priorities, vectors, wfi.
#include "lib/sandbox.h"

#define SSIE (1UL << IRQ_SOFT)
#define STIE (1UL << IRQ_TIMER)
#define SEIE (1UL << IRQ_EXTERNAL)
#define NEVER (~0UL)
#define TICKS_MS 10000UL // of 10 MHz

static uint64_t now(void)
{
	return csr_read("time");
}

static void wait_pending(uint64_t bit)
{
	while (!(csr_read("sip") & bit))
		;
}

// Opens sstatus.SIE for a moment with @enable in sie and prints what came.
static void open(const char *label, uint64_t enable)
{
	catch_traps();
	csr_write("sie", enable);
	csr_set("sstatus", SSTATUS_SIE);
	__asm__ volatile("nop\nnop");
	csr_clear("sstatus", SSTATUS_SIE);
	catch_end();
	show_trap(label);
}

static void software(void)
{
	print("sip %x\n", csr_read("sip"));
	csr_set("sip", SSIE);
	print("sip after set %x\n", csr_read("sip"));
	open("ssip masked in sie", STIE | SEIE);
	open("ssip", SSIE);
	open("ssip still there", SSIE);
	csr_clear("sip", SSIE);
	open("ssip cleared", SSIE);
	sbi_send_ipi(1, this_hart()->id);
	wait_pending(SSIE);
	open("ipi to itself", SSIE);
	csr_clear("sip", SSIE);
	print("sip %x\n", csr_read("sip"));
}

static void timer(void)
{
	sbi_set_timer(NEVER);
	print("timer off: sip %x\n", csr_read("sip"));
	sbi_set_timer(now() + TICKS_MS);
	wait_pending(STIE);
	csr_clear("sip", STIE);
	print("stip cannot be cleared: sip %x\n", csr_read("sip"));
	open("timer", STIE);
	open("timer still pending", STIE);
	sbi_set_timer(NEVER);
	print("timer off: sip %x\n", csr_read("sip"));
	open("timer off", STIE);
	sbi_set_timer(0);
	wait_pending(STIE);
	open("timer of the past", STIE);
	sbi_set_timer(NEVER);
}

// SSI before STI (privileged spec 12.1.3).
static void priorities(void)
{
	sbi_set_timer(0);
	csr_set("sip", SSIE);
	wait_pending(STIE);
	open("both pending", SSIE | STIE);
	csr_clear("sip", SSIE);
	open("one left", SSIE | STIE);
	sbi_set_timer(NEVER);
}

// An interrupt that becomes possible by csrw, csrs or sret is taken before the next
// instruction but one at the latest.
static void at_once(void)
{
	uint64_t before;

	csr_set("sip", SSIE);
	csr_write("sie", SSIE);
	catch_traps();
	__asm__ volatile("li %0, 0\ncsrsi sstatus, 2\nli %0, 1\nli %0, 2\ncsrci sstatus, 2"
			 : "=&r"(before) :: "memory");
	print("by csrsi: %d traps\n", (uint64_t)catch_end());
	catch_traps();
	csr_set("sstatus", SSTATUS_SIE);
	__asm__ volatile("csrs sie, %0\nnop\ncsrci sstatus, 2" :: "r"(SSIE) : "memory");
	print("by sie: %d traps\n", (uint64_t)catch_end());
	csr_write("sie", SSIE);
	catch_traps();
	csr_set("sstatus", SSTATUS_SPP | SSTATUS_SPIE);
	__asm__ volatile("la t0, 1f\ncsrw sepc, t0\nsret\n1: nop\ncsrci sstatus, 2" ::: "t0", "memory");
	print("by sret: %d traps, sepc is its target: %d\n", (uint64_t)catch_end(),
	      (uint64_t)(this_hart()->trap.sepc != 0));
	csr_clear("sip", SSIE);
}

// A store to sip in the other mode of stvec: interrupts go to base + 4 * cause.
static void vectored(void)
{
	struct hart *hart = this_hart();

	csr_write("stvec", (uint64_t)vector_table | 1);
	hart->vector = 99;
	csr_set("sip", SSIE);
	open("vectored software", SSIE);
	print("vector %d\n", hart->vector);
	csr_clear("sip", SSIE);
	sbi_set_timer(0);
	wait_pending(STIE);
	open("vectored timer", STIE);
	print("vector %d\n", hart->vector);
	sbi_set_timer(NEVER);
	catch_traps();
	__asm__ volatile("ebreak" ::: "memory"); // delegated: OpenSBI 1.1 redirects the others wrongly
	catch_end();
	print("exception: vector %d\n", hart->vector);
	csr_write("stvec", (uint64_t)trap_entry);
}

// wfi goes on when an interrupt is pending in sie, also with sstatus.SIE off.
static void waiting(void)
{
	uint64_t start = now(), deadline = start + 20 * TICKS_MS;

	csr_clear("sstatus", SSTATUS_SIE);
	csr_write("sie", STIE);
	sbi_set_timer(deadline);
	while (!(csr_read("sip") & STIE))
		__asm__ volatile("wfi");
	print("wfi: not before its time: %d, soon after: %d\n", (uint64_t)(now() >= deadline),
	      (uint64_t)(now() - deadline < 2000 * TICKS_MS));
	__asm__ volatile("wfi");
	put("wfi with a pending interrupt goes on\n");
	sbi_set_timer(NEVER);
	csr_set("sip", SSIE);
	csr_write("sie", SSIE);
	__asm__ volatile("wfi");
	csr_clear("sip", SSIE);
	sbi_set_timer(now() + TICKS_MS);
	csr_write("sie", STIE);
	catch_traps();
	csr_set("sstatus", SSTATUS_SIE);
	__asm__ volatile("wfi" ::: "memory");
	while (!*(volatile unsigned *)&this_hart()->traps)
		;
	csr_clear("sstatus", SSTATUS_SIE);
	catch_end();
	print("wfi with sie: cause %x\n", this_hart()->trap.scause);
	sbi_set_timer(NEVER);
}

static struct sandbox box;

static void user_code(const uint16_t *code, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		box.code[i] = code[i];
	fence_i();
}

// U mode takes supervisor interrupts whatever sstatus.SIE says.
static void in_user_mode(void)
{
	static const uint16_t loop[] = { 0xa001 }; // c.j .
	static const uint16_t count[] = { 0x0505, 0xbffd }; // c.addi a0, 1; c.j .-2
	struct frame *f = &this_hart()->frame;

	sandbox_init(&box, true);
	csr_write("sie", STIE | SSIE);
	user_code(loop, ARRAY_SIZE(loop));
	for (unsigned i = 0; i < 3; i++) {
		sbi_set_timer(now() + TICKS_MS);
		sandbox_run(&box, SANDBOX_CODE);
		print("user loop: cause %x sepc %x sstatus %x\n", f->scause, f->sepc, f->sstatus);
		sbi_set_timer(NEVER);
	}
	user_code(count, ARRAY_SIZE(count));
	f->x[10] = 0;
	// A busy machine may let the time pass before the first instruction.
	for (unsigned tries = 0; !f->x[10] && tries < 100; tries++) {
		sbi_set_timer(now() + TICKS_MS);
		sandbox_run(&box, SANDBOX_CODE);
	}
	print("user count: cause %x counted %d\n", f->scause, (uint64_t)(f->x[10] > 0));
	sbi_set_timer(NEVER);
	csr_set("sip", SSIE);
	f->x[10] = 0;
	sandbox_run(&box, SANDBOX_CODE);
	print("pending before sret: cause %x sepc %x counted %d\n", f->scause, f->sepc, f->x[10]);
	csr_clear("sip", SSIE);
	csr_write("sie", 0);
	page_use(NULL);
}

// Many short periods: none is lost, none comes early.
static void ticks(void)
{
	unsigned early = 0;

	csr_write("sie", STIE);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t deadline = now() + 500;

		sbi_set_timer(deadline);
		while (!(csr_read("sip") & STIE))
			if (i & 1)
				__asm__ volatile("wfi");
		early += now() < deadline;
	}
	sbi_set_timer(NEVER);
	print("200 ticks, %d early\n", (uint64_t)early);
}

int main(void)
{
	software();
	timer();
	priorities();
	at_once();
	vectored();
	waiting();
	in_user_mode();
	ticks();
	return 0;
}
