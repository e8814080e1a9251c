// SPDX-License-Identifier: GPL-2.0-or-later
// Applies requests to a disk as a guest would, for tests with other programs' eyes on it.
//
// usage: disk-io [-d DEPTH] [-o FILE] IMAGE[,ro][,snapshot][,backing][,raw]
//
// Reads one request a line: "w OFFSET LENGTH BYTE" writes that byte, "r OFFSET LENGTH BYTE"
// expects it, "z" and "u" write zeroes (u: may unmap), "d" discards, "f" flushes; and "q"
// waits for all. Prints the number of each line when it is done, at once, so that a
// kill loses none. Up to DEPTH requests are under way, never two that overlap. FILE is
// made when the image is open.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "log.h"
#include "loop.h"
#include "vm-config.h"

#define DEPTH_MAX 64

struct slot {
	struct disk_request request;
	struct iovec iov[3];
	uint8_t *data;
	uint64_t line;
	uint8_t byte;
	bool busy;
};

static struct disk_queue *queue;
static struct slot slots[DEPTH_MAX];
static unsigned depth = 1;
static bool failed;

static void report(const struct slot *slot, int error)
{
	if (error) {
		fprintf(stderr, "line %" PRIu64 ": %s\n", slot->line, strerror(-error));
		failed = true;
		return;
	}
	for (uint64_t i = 0; slot->request.op == DISK_READ && i < slot->request.len_bytes; i++)
		if (slot->data[i] != slot->byte) {
			fprintf(stderr, "line %" PRIu64 ": byte %" PRIu64 " is %#x\n", slot->line,
				slot->request.offset_bytes + i, slot->data[i]);
			failed = true;
			return;
		}
	dprintf(STDOUT_FILENO, "%" PRIu64 "\n", slot->line);
}

static void on_done(struct disk_request *request, int error)
{
	struct slot *slot = container_of(request, struct slot, request);

	report(slot, error);
	free(slot->data);
	slot->busy = false;
}

static bool overlaps(const struct slot *slot, uint64_t offset, uint64_t len)
{
	const struct disk_request *request = &slot->request;

	return slot->busy &&
	       (request->op == DISK_FLUSH || (offset < request->offset_bytes + request->len_bytes &&
					      request->offset_bytes < offset + len));
}

static struct slot *find_slot(uint64_t offset, uint64_t len)
{
	struct slot *found = NULL;

	for (unsigned i = 0; i < depth; i++) {
		if (overlaps(&slots[i], offset, len))
			return NULL;
		if (!slots[i].busy)
			found = &slots[i];
	}
	return found;
}

static struct slot *get_slot(uint64_t offset, uint64_t len)
{
	struct slot *slot = find_slot(offset, len);

	if (!slot) {
		disk_kick(queue);
		slot = find_slot(offset, len);
	}
	if (!slot) {
		disk_drain(queue);
		slot = find_slot(offset, len);
	}
	return slot;
}

// Three vectors, of which one is odd.
static void fill(struct slot *slot, uint64_t len)
{
	uint64_t first = len / 3, second = len > 100 ? 99 : 0;

	slot->data = aligned_alloc(4096, align_up(len, 4096));
	if (!slot->data)
		abort();
	memset(slot->data, slot->request.op == DISK_READ ? slot->byte ^ 0xff : slot->byte, len);
	slot->iov[0] = (struct iovec){ slot->data, first };
	slot->iov[1] = (struct iovec){ slot->data + first, second };
	slot->iov[2] = (struct iovec){ slot->data + first + second, len - first - second };
}

static void submit(char letter, uint64_t offset, uint64_t len, unsigned byte, uint64_t line)
{
	static const char letters[] = { 'r', 'w', 'f', 'd', 'z', 'u' };
	struct slot *slot = get_slot(offset, len);
	unsigned op = 0;

	while (op < ARRAY_SIZE(letters) - 1 && letters[op] != letter)
		op++;
	slot->busy = true;
	slot->line = line;
	slot->byte = byte;
	slot->request = (struct disk_request){
		.op = op > DISK_WRITE_ZEROES ? DISK_WRITE_ZEROES : op,
		.offset_bytes = offset,
		.len_bytes = len,
		.unmap = letter == 'u',
		.done = on_done,
	};
	slot->data = NULL;
	if (op <= DISK_WRITE) {
		fill(slot, len);
		slot->request.iov = slot->iov;
		slot->request.iov_count = 3;
	}
	disk_submit(queue, &slot->request);
}

static void serve(void)
{
	uint64_t offset, len, line = 0;
	char text[200], letter;
	unsigned byte;

	while (fgets(text, sizeof(text), stdin)) {
		offset = len = byte = 0;
		line++;
		if (sscanf(text, "%c %" SCNu64 " %" SCNu64 " %u", &letter, &offset, &len, &byte) <
		    1)
			continue;
		if (letter == 'q')
			disk_drain(queue);
		else
			submit(letter, offset, len, byte, line);
	}
	disk_drain(queue);
}

static void parse(struct disk_config *config, char *text)
{
	config->path = strsep(&text, ",");
	for (char *word; (word = strsep(&text, ","));) {
		config->read_only |= !strcmp(word, "ro");
		config->snapshot |= !strcmp(word, "snapshot");
		config->backing |= !strcmp(word, "backing");
		config->direct |= !strcmp(word, "direct");
		if (!strcmp(word, "raw"))
			config->format = DISK_FORMAT_RAW;
	}
}

// Returns the image's argument; NULL for wrong ones.
static char *parse_options(int argc, char **argv, const char **opened)
{
	int option;

	while ((option = getopt(argc, argv, "d:o:")) != -1) {
		if (option == 'd')
			depth = MIN(MAX(atoi(optarg), 1), DEPTH_MAX);
		else if (option == 'o')
			*opened = optarg;
		else
			return NULL;
	}
	return optind == argc - 1 ? argv[optind] : NULL;
}

int main(int argc, char **argv)
{
	struct disk_config config = { 0 };
	const char *opened = NULL;
	char *image = parse_options(argc, argv, &opened);
	struct loop loop;
	struct disk *disk;

	if (!image)
		return 125;
	parse(&config, image);
	if (disk_open(&disk, &config) || loop_init(&loop) ||
	    disk_attach(disk, &loop, (struct disk_events){ 0 }, &queue))
		return 125;
	if (opened && mknod(opened, S_IFREG | 0600, 0))
		return 125;
	serve();
	disk_detach(queue);
	disk_close(disk);
	loop_exit(&loop);
	return failed;
}
