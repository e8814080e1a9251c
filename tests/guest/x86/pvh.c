// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel that is not Linux and names a PVH entry: 32-bit mode without paging, with
// hvm_start_info in ebx (xen/include/public/arch-x86/hvm/start_info.h).
#include "lib/guest.h"

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t command_line;
	uint64_t rsdp;
	uint64_t map;
	uint32_t map_entries;
};

struct start_range {
	uint64_t address;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

// Xen's note 18, XEN_ELFNOTE_PHYS32_ENTRY. The entry keeps cr0 and ebx, maps the first
// GiB, and goes on in 64-bit mode.
__asm__(".section .note.pvh, \"a\", @note\n"
	"	.long	4, 8, 18\n"
	"	.asciz	\"Xen\"\n"
	"	.quad	pvh_entry\n"
	".bss\n"
	"	.balign	4096\n"
	"pvh_pml4: .skip 4096\n"
	"pvh_pdpt: .skip 4096\n"
	"pvh_pd: .skip 4096\n"
	"	.skip	4096\n"
	"pvh_stack:\n"
	".text\n"
	".code32\n"
	"pvh_entry:\n"
	"	movl	%cr0, %esi\n"
	"	movl	$pvh_pdpt + 3, pvh_pml4\n"
	"	movl	$pvh_pd + 3, pvh_pdpt\n"
	"	movl	$0x83, %eax\n" // present, writable, 2 MiB
	"	xorl	%ecx, %ecx\n"
	"1:	movl	%eax, pvh_pd(, %ecx, 8)\n"
	"	addl	$0x200000, %eax\n"
	"	incl	%ecx\n"
	"	cmpl	$512, %ecx\n"
	"	jne	1b\n"
	"	movl	$0x20, %eax\n" // CR4.PAE
	"	movl	%eax, %cr4\n"
	"	movl	$pvh_pml4, %eax\n"
	"	movl	%eax, %cr3\n"
	"	movl	$0xc0000080, %ecx\n" // EFER.LME
	"	rdmsr\n"
	"	orl	$0x100, %eax\n"
	"	wrmsr\n"
	"	movl	$0x80000011, %eax\n" // CR0.PG, ET, PE
	"	movl	%eax, %cr0\n"
	"	lgdt	pvh_gdtr\n"
	"	ljmp	$0x10, $pvh_64\n"
	".code64\n"
	"pvh_64:\n"
	"	movl	$0x18, %eax\n"
	"	movl	%eax, %ds\n"
	"	movl	%eax, %es\n"
	"	movl	%eax, %ss\n"
	"	movl	$pvh_stack, %esp\n"
	"	movl	%ebx, %edi\n"
	"	call	pvh_main\n"
	"	jmp	power_off\n"
	"	.balign	8\n"
	"pvh_gdt: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
	"pvh_gdtr: .word 31\n"
	"	.long	pvh_gdt\n");

static void print_map(const struct start_info *info)
{
	const struct start_range *map = (const void *)info->map;

	for (uint32_t i = 0; i < info->map_entries; i++)
		print("%x %x type %d\n", map[i].address, map[i].size, (uint64_t)map[i].type);
}

void pvh_main(const struct start_info *info, uint32_t cr0);
void pvh_main(const struct start_info *info, uint32_t cr0)
{
	const uint64_t *rsdp = (const void *)info->rsdp;

	print("cr0: PE %d, PG %d\n", (uint64_t)cr0 & 1, (uint64_t)cr0 >> 31);
	print("magic %x, version %d\n", (uint64_t)info->magic, (uint64_t)info->version);
	print("%d modules\n", (uint64_t)info->module_count);
	print("command line: %s\n", (const char *)info->command_line);
	print("RSDP: %s\n", *rsdp == 0x2052545020445352 ? "there" : "missing");
	print_map(info);
}

void main(const uint8_t *boot_params)
{
	print("entered as Linux is\n");
}
