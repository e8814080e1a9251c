// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts: gates, and the two 8259s.
#include "guest.h"

#define VECTOR_IRQ 0x20
#define END_OF_INTERRUPT 0x20

struct gate {
	uint16_t offset_low, selector;
	uint8_t stack, type;
	uint16_t offset_middle;
	uint32_t offset_high, zero;
};

extern char gates[][16];
void interrupt(uint64_t vector);

static struct gate table[256];
static void (*handlers[16])(void);

void interrupt(uint64_t vector)
{
	unsigned irq = vector - VECTOR_IRQ;

	if (vector < VECTOR_IRQ || vector >= VECTOR_IRQ + 16 || !handlers[irq]) {
		print("unexpected vector %d\n", vector);
		power_off();
	}
	handlers[irq]();
	if (irq >= 8)
		out8(PORT_PIC2, END_OF_INTERRUPT);
	out8(PORT_PIC, END_OF_INTERRUPT);
}

// ICW1 to ICW4 (Intel 8259A data sheet), then the mask.
static void init_pic(uint16_t port, uint8_t vector, uint8_t cascade)
{
	out8(port, 0x11);
	out8(port + 1, vector);
	out8(port + 1, cascade);
	out8(port + 1, 0x01);
	out8(port + 1, 0xff);
}

void interrupts_init(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(table) - 1, (uint64_t)table };

	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)gates[i];

		table[i] = (struct gate){
			.offset_low = at,
			.selector = 0x10,
			.type = 0x8e, // interrupt gate, present
			.offset_middle = at >> 16,
			.offset_high = at >> 32,
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
	init_pic(PORT_PIC, VECTOR_IRQ, 1 << 2);
	init_pic(PORT_PIC2, VECTOR_IRQ + 8, 2);
}

void on_irq(unsigned irq, void (*handler)(void))
{
	handlers[irq] = handler;
	if (irq >= 8) {
		out8(PORT_PIC2 + 1, in8(PORT_PIC2 + 1) & ~(1 << (irq - 8)));
		irq = 2;
	}
	out8(PORT_PIC + 1, in8(PORT_PIC + 1) & ~(1 << irq));
}

void wait_interrupt(void)
{
	// Nothing comes between the two: STI takes effect one instruction later.
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}
