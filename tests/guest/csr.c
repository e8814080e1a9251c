// SPDX-License-Identifier: GPL-2.0-or-later
// Zicsr and the supervisor's CSRs: which exist, what they hold, who may not.
#include "lib/sandbox.h"

// The six instructions on sscratch; no trap may come in between.
static void instructions(void)
{
	uint64_t keep = csr_read("sscratch"), r[8];

	__asm__ volatile("li t0, 0x1234\ncsrrw %0, sscratch, t0\ncsrrw %0, sscratch, t0\n"
			 "li t1, 0x0f0f\ncsrrs %1, sscratch, t1\ncsrrc %2, sscratch, t1\n"
			 "csrrwi %3, sscratch, 31\ncsrrsi %4, sscratch, 0\n"
			 "csrrci %5, sscratch, 5\ncsrrs %6, sscratch, x0\n"
			 : "=&r"(r[0]), "=&r"(r[1]), "=&r"(r[2]), "=&r"(r[3]), "=&r"(r[4]),
			   "=&r"(r[5]), "=&r"(r[6])
			 :: "t0", "t1");
	__asm__ volatile("li %0, -1\ncsrrw %0, sscratch, %0\ncsrrw %0, sscratch, %0\n"
			 "csrrw x0, sscratch, %1"
			 : "=&r"(r[7]) : "r"(keep));
	for (unsigned i = 0; i < 8; i++)
		print("sscratch %d: %x\n", (uint64_t)i, r[i]);
	print("sscratch kept: %s\n", csr_read("sscratch") == keep ? "yes" : "no");
}

// Writes @value and prints what stays; restores.
#define HOLDS(csr, value)                                                     \
	do {                                                                  \
		uint64_t keep_ = csr_read(csr);                               \
		csr_write(csr, value);                                        \
		uint64_t held_ = csr_read(csr);                               \
		csr_write(csr, keep_);                                        \
		print(csr " of %x: %x\n", (uint64_t)(value), held_);          \
	} while (0)

#define SSTATUS_UXL_32 (1UL << 32)
#define SSTATUS_UXL_64 (2UL << 32)
#define SSTATUS_VS (3UL << 9) // QEMU 7.2 lets it be set without V
#define SATP_MODE(mode) ((uint64_t)(mode) << 60)

static void held_values(void)
{
	csr_write("sstatus", SSTATUS_UXL_64);
	HOLDS("sstatus", SSTATUS_UXL_64);
	HOLDS("sstatus", ~(SSTATUS_UXL_32 | SSTATUS_VS | SSTATUS_SIE));
	HOLDS("sstatus", SSTATUS_FS_INITIAL | SSTATUS_UXL_64);
	HOLDS("sstatus", SSTATUS_FS_CLEAN | SSTATUS_UXL_64);
	HOLDS("sstatus", SSTATUS_FS | SSTATUS_UXL_64);
	HOLDS("sstatus", SSTATUS_SD | SSTATUS_UXL_64);
	csr_set("sstatus", SSTATUS_FS);
	HOLDS("sie", ~0UL);
	HOLDS("sie", 0);
	HOLDS("sip", ~0UL & ~(1UL << IRQ_SOFT));
	HOLDS("sip", 1UL << IRQ_SOFT);
	HOLDS("stval", ~0UL);
	HOLDS("stval", 0x8000000000000001);
	HOLDS("scause", 15);
	HOLDS("scause", CAUSE_INTERRUPT | 9);
	HOLDS("sepc", 0x123456789abcdef0);
	HOLDS("sepc", 0x8000000000000002);
	HOLDS("stvec", 0x12345678);
	HOLDS("stvec", 0x12345679);
	HOLDS("stvec", 0xfffffffffffffffc);
	HOLDS("scounteren", 7);
	HOLDS("scounteren", 2);
	HOLDS("senvcfg", 0);
	HOLDS("senvcfg", 1);
}

// An unsupported mode leaves all of satp as it was (privileged spec 12.1.11).
static void satp_values(void)
{
	pte_t *root = page_root();

	page_use(root);
	HOLDS("satp", page_satp(root, 0xffff));
	HOLDS("satp", page_satp(root, 0x5555));
	for (uint64_t mode = 1; mode < 16; mode++) {
		if (mode >= 8 && mode <= 10)
			continue;
		csr_write("satp", (page_satp(root, 3) & ~SATP_MODE(15)) | SATP_MODE(mode));
		if (csr_read("satp") != page_satp(root, 0))
			print("satp mode %d: %x\n", mode, csr_read("satp"));
	}
	page_use(NULL);
	HOLDS("satp", 0);
}

// Runs "csrr a0, csr" or another instruction on @csr that leaves a0 alone.
static bool access(uint32_t insn, unsigned csr)
{
	static uint32_t code[2];

	code[0] = insn | csr << 20;
	code[1] = 0x00008067; // ret
	fence_i();
	catch_traps();
	((void (*)(void))code)();
	return catch_end() == 0;
}

#define CSRR_A0 0x00002573
#define CSRS_X0 0x00006073 // csrrsi x0, csr, 0
#define CSRSI_0_A0 0x00006573
#define CSRSI_1_X0 0x0000e073
#define CSRW_X0 0x00001073
#define CSRCI_1_X0 0x0000f073

// Counters beyond the first three and stimecmp differ by machine; OpenSBI emulates
// htimedelta.
static bool is_left_out(unsigned csr)
{
	return (csr & ~0x1fU) == 0xc00 || csr == 0x14d || csr == 0x605;
}

static void which_exist(void)
{
	put("csrs:");
	for (unsigned csr = 0; csr < 4096; csr++) {
		if (!is_left_out(csr) && access(CSRR_A0, csr))
			print(" %x", (uint64_t)csr);
	}
	put("\n");
}

static void counters(void)
{
	for (unsigned csr = 0xc00; csr <= 0xc02; csr++) {
		print("counter %x: read %d set-nothing %d %d write %d set %d clear %d\n",
		      (uint64_t)csr, (uint64_t)access(CSRR_A0, csr),
		      (uint64_t)access(CSRS_X0, csr), (uint64_t)access(CSRSI_0_A0, csr),
		      (uint64_t)access(CSRW_X0, csr), (uint64_t)access(CSRSI_1_X0, csr),
		      (uint64_t)access(CSRCI_1_X0, csr));
	}
	uint64_t time = csr_read("time"), cycle = csr_read("cycle"), instret = csr_read("instret");
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t time_now = csr_read("time"), cycle_now = csr_read("cycle");
		uint64_t instret_now = csr_read("instret");

		if (time_now < time || cycle_now <= cycle || instret_now <= instret)
			print("a counter went back\n");
		time = time_now;
		cycle = cycle_now;
		instret = instret_now;
	}
}

static struct sandbox box;

// "csrr a0, csr" in U mode with @enable in scounteren.
static bool user_reads(unsigned csr, uint64_t enable)
{
	uint32_t insn = CSRR_A0 | csr << 20;

	csr_write("scounteren", enable);
	box.code[0] = (uint16_t)insn;
	box.code[1] = (uint16_t)(insn >> 16);
	box.code[2] = C_EBREAK;
	fence_i();
	sandbox_run(&box, SANDBOX_CODE);
	return this_hart()->frame.scause == CAUSE_BREAKPOINT;
}

static void user_mode(void)
{
	static const uint16_t csrs[] = {
		0x001, 0x002, 0x003, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143,
		0x144, 0x180, 0x300, 0x305, 0x341, 0xb00, 0xf14, 0x7c0, 0x8c0,
	};

	sandbox_init(&box, true);
	for (unsigned i = 0; i < ARRAY_SIZE(csrs); i++)
		print("user %x: %d\n", (uint64_t)csrs[i], (uint64_t)user_reads(csrs[i], 7));
	// A forbidden read of time is beyond.c's: OpenSBI answers it.
	for (uint64_t enable = 0; enable < 8; enable++) {
		print("user counters with %x: cycle %d instret %d\n", enable,
		      (uint64_t)user_reads(0xc00, enable), (uint64_t)user_reads(0xc02, enable));
	}
	print("user time: %d\n", (uint64_t)user_reads(0xc01, 2));
	page_use(NULL);
}

// fflags and frm are views of fcsr; its other bits are zero.
static void fcsr(void)
{
	csr_write("fcsr", ~0UL);
	print("fcsr %x frm %x fflags %x\n", csr_read("fcsr"), csr_read("frm"), csr_read("fflags"));
	csr_write("fcsr", 0);
	csr_write("frm", 0xf4);
	csr_write("fflags", 0xfa);
	print("fcsr %x frm %x fflags %x\n", csr_read("fcsr"), csr_read("frm"), csr_read("fflags"));
	csr_clear("fcsr", 0x8a);
	csr_set("fflags", 5);
	print("fcsr %x\n", csr_read("fcsr"));
	csr_write("fcsr", 0);
}

int main(void)
{
	instructions();
	held_values();
	satp_values();
	which_exist();
	counters();
	fcsr();
	user_mode();
	return 0;
}
