// SPDX-License-Identifier: GPL-2.0-or-later
// Calls to the supervisor's environment.
#include "guest.h"

struct sbi_result sbi_call(uint64_t ext, uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2,
			   uint64_t a3, uint64_t a4)
{
	register uint64_t r0 __asm__("a0") = a0;
	register uint64_t r1 __asm__("a1") = a1;
	register uint64_t r2 __asm__("a2") = a2;
	register uint64_t r3 __asm__("a3") = a3;
	register uint64_t r4 __asm__("a4") = a4;
	register uint64_t r6 __asm__("a6") = fid;
	register uint64_t r7 __asm__("a7") = ext;

	__asm__ volatile("ecall"
			 : "+r"(r0), "+r"(r1)
			 : "r"(r2), "r"(r3), "r"(r4), "r"(r6), "r"(r7)
			 : "memory");
	return (struct sbi_result){ (int64_t)r0, r1 };
}

void sbi_set_timer(uint64_t deadline)
{
	sbi_call(SBI_TIME, 0, deadline, 0, 0, 0, 0);
}

void sbi_send_ipi(uint64_t mask, uint64_t base)
{
	sbi_call(SBI_IPI, 0, mask, base, 0, 0, 0);
}
