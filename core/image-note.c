// SPDX-License-Identifier: GPL-2.0-or-later
// ELF notes of x86 kernels: how they want to be entered.
#include <elf.h>

#include "image-internal.h"

// Xen's public/elfnote.h.
#define XEN_GUEST_OS 6
#define XEN_PHYS32_ENTRY 18

#define NOTE_ALIGN_BYTES 4

struct note {
	uint32_t type;
	struct image_span name; // its NUL included
	struct image_span desc;
};

static bool take_bytes(struct image_span *from, uint64_t count, struct image_span *bytes)
{
	if (count > from->size_bytes)
		return false;
	*bytes = (struct image_span){ from->data, count };
	// The last note may lack its padding.
	count = MIN(align_up(count, NOTE_ALIGN_BYTES), (uint64_t)from->size_bytes);
	*from = (struct image_span){ from->data + count, from->size_bytes - count };
	return true;
}

static bool take_note(struct image_span *notes, struct note *note)
{
	struct image_span header;
	Elf64_Nhdr numbers;

	if (!take_bytes(notes, sizeof(numbers), &header))
		return false;
	memcpy(&numbers, header.data, sizeof(numbers));
	note->type = le32toh(numbers.n_type);
	return take_bytes(notes, le32toh(numbers.n_namesz), &note->name) &&
	       take_bytes(notes, le32toh(numbers.n_descsz), &note->desc);
}

static bool is_text(struct image_span bytes, const char *text)
{
	return bytes.size_bytes == strlen(text) + 1 && !memcmp(bytes.data, text, bytes.size_bytes);
}

static void read_xen_note(const struct note *note, struct image_notes *notes)
{
	if (note->type == XEN_GUEST_OS && is_text(note->desc, "linux"))
		notes->is_linux = true;
	// Of the size of an address: 8 bytes in a 64-bit kernel, but some have 4.
	if (note->type == XEN_PHYS32_ENTRY && note->desc.size_bytes >= 4) {
		notes->has_pvh_entry = true;
		notes->pvh_entry = load_le32(note->desc.data);
	}
}

void image_read_notes(struct image_span notes, struct image_notes *found)
{
	struct note note;

	while (take_note(&notes, &note)) {
		// Its build salt; since Linux 4.19.
		if (is_text(note.name, "Linux"))
			found->is_linux = true;
		if (is_text(note.name, "Xen"))
			read_xen_note(&note, found);
	}
}
