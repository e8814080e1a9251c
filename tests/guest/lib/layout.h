// SPDX-License-Identifier: GPL-2.0-or-later
// Offsets into struct hart for start.S; hart.c asserts them.
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define HART_SEPC 256
#define HART_SCAUSE 264
#define HART_STVAL 272
#define HART_SSTATUS 280
#define HART_CONTEXT 288
#define HART_INSIDE 400
#define HART_TRAP_STACK 408
#define HART_STACK 416
#define HART_MAIN 424
#define HART_VECTOR 432
#define HART_SCRATCH 440
#define HART_ID 448

#endif
