// SPDX-License-Identifier: GPL-2.0-or-later
// Further CPUs: INIT and SIPI by the local APIC.
#include "guest.h"

#define APIC 0xfee00000
#define APIC_ID 0x20
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define ICR_INIT 0x4500
#define ICR_SIPI 0x4600

extern char trampoline[], trampoline_end[];

static volatile uint32_t *apic(unsigned reg)
{
	return (volatile uint32_t *)(uintptr_t)(APIC + reg);
}

uint32_t apic_id(void)
{
	return *apic(APIC_ID) >> 24;
}

static void send(unsigned id, uint32_t command)
{
	*apic(APIC_ICR_HIGH) = id << 24;
	*apic(APIC_ICR_LOW) = command;
}

void start_cpu(unsigned id)
{
	send(id, ICR_INIT);
	send(id, ICR_SIPI | AP_START >> 12);
	send(id, ICR_SIPI | AP_START >> 12);
}

void start_ap(unsigned id)
{
	char *to = (char *)AP_START;
	uint64_t cr3;

	for (char *from = trampoline; from < trampoline_end; from++)
		*to++ = *from;
	__asm__("mov %%cr3, %0" : "=r"(cr3));
	((uint32_t *)to)[-1] = cr3;
	start_cpu(id);
}
