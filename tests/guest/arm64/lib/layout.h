// SPDX-License-Identifier: GPL-2.0-or-later
// Offsets into struct cpu for start.S; cpu.c asserts them.
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define CPU_STACK 0

// What enter_* in start.S keeps: x0 to x18, x29, x30, ELR, SPSR.
#define FRAME_ELR 168
#define FRAME_SPSR 176
#define FRAME_BYTES 192

#endif
