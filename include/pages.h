// SPDX-License-Identifier: GPL-2.0-or-later
// What of the program itself stays in memory.
#ifndef KVIK_PAGES_H
#define KVIK_PAGES_H

// Gives the memory back that only the start needed: free pages of the heap, and pages of
// the program's and its libraries' code and constants, which come back from the page cache
// when they are touched. One that is not as the file has it, since a debugger set a
// breakpoint there, stays as it is, and so do those around it. A wish: nothing fails. Any
// thread.
void pages_forget_start(void);

#endif
