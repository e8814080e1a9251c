// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables of arm64 as a debugger reads them (Arm ARM, D8.2 and D8.3): EL1's two
// halves, granules of 4, 16 and 64 KiB, up to 52 bits of virtual address.
//
// Output addresses beyond 48 bits, where no guest has RAM, are not looked at.
#include "arm-accel.h"
#include "cpu-view.h"

#define TCR_TG1_SHIFT 30
#define TCR_TG0_SHIFT 14
#define TCR_T1SZ_SHIFT 16
#define SCTLR_M 1ULL
#define TTBR_BADDR 0xffffffffffc0ULL
#define DESC_VALID 1ULL
#define DESC_TABLE 2ULL // or, on the last level, a page
#define DESC_PXN (1ULL << 53)
#define DESC_PXN_TABLE (1ULL << 59)
#define OUTPUT_MASK ((1ULL << 48) - 1)
#define VA_MIN_BITS 25
#define VA_MAX_BITS 52

// How one half of the addresses is translated.
struct half {
	uint64_t table;
	unsigned va_bits;
	unsigned granule_bits;
};

static unsigned granule_bits(uint64_t tcr, bool upper)
{
	static const unsigned lower_bits[] = { 12, 16, 14, 0 }, upper_bits[] = { 0, 14, 12, 16 };

	return upper ? upper_bits[tcr >> TCR_TG1_SHIFT & 3] : lower_bits[tcr >> TCR_TG0_SHIFT & 3];
}

static struct half half_of(const struct cpu_view *view, uint64_t va)
{
	bool upper = va >> 55 & 1;
	uint64_t tcr = view->arm.tcr;

	return (struct half){
		.table = view->arm.ttbr[upper] & TTBR_BADDR,
		.va_bits = 64 - (tcr >> (upper ? TCR_T1SZ_SHIFT : 0) & 0x3f),
		.granule_bits = granule_bits(tcr, upper),
	};
}

static bool walk(const struct cpu_view *view, const struct half *half, uint64_t va,
		 struct cpu_page *page)
{
	unsigned stride = half->granule_bits - 3;
	unsigned levels = (half->va_bits - half->granule_bits + stride - 1) / stride;
	uint64_t table = half->table, desc, denied = 0;

	va &= (1ULL << half->va_bits) - 1;
	for (unsigned level = levels; level-- > 0;) {
		unsigned bits = half->granule_bits + stride * level;
		uint64_t index = va >> bits & ((1ULL << stride) - 1);
		uint64_t span_mask = (1ULL << bits) - 1;

		if (!cpu_view_read_gpa(view, table + 8 * index, &desc) || !(desc & DESC_VALID))
			return false;
		if (!level && !(desc & DESC_TABLE))
			return false;
		if (!level || !(desc & DESC_TABLE)) {
			page->gpa = (desc & OUTPUT_MASK & ~span_mask) | (va & span_mask);
			page->executable = !denied && !(desc & DESC_PXN);
			return true;
		}
		denied |= desc & DESC_PXN_TABLE;
		table = desc & OUTPUT_MASK & ~((1ULL << half->granule_bits) - 1);
	}
	return false;
}

static bool translate(const struct cpu_view *view, uint64_t va, struct cpu_page *page)
{
	struct half half = half_of(view, va);

	if (!(view->arm.sctlr & SCTLR_M)) {
		*page = (struct cpu_page){ .gpa = va, .executable = true };
		return true;
	}
	if (!half.granule_bits || half.va_bits < VA_MIN_BITS || half.va_bits > VA_MAX_BITS)
		return false;
	return walk(view, &half, va, page);
}

uint64_t arm_signature_bits(uint64_t tcr)
{
	unsigned va_bits = 64 - (tcr >> TCR_T1SZ_SHIFT & 0x3f);

	return va_bits <= VA_MAX_BITS ? UINT64_MAX << va_bits : 0;
}

// AAPCS64, 6.4.6: the frame record is where the frame pointer leads.
const struct cpu_view_ops arm_view_ops = {
	.translate = translate,
	.keeps_frames = true,
	.stack_bytes = 16 * KIB,
};
