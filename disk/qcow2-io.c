// SPDX-License-Identifier: GPL-2.0-or-later
// Requests on a qcow2 disk: which must wait for which, reading, and their end.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "qcow2-disk.h"

// -- pieces --

void qcow2_append(struct qcow2_pieces *pieces, struct qcow2_piece *piece)
{
	piece->next = NULL;
	if (!pieces->head)
		pieces->tail = &pieces->head;
	*pieces->tail = piece;
	pieces->tail = &piece->next;
}

static void finish(struct qcow2_op *op)
{
	struct qcow2_queue *queue = op->queue;
	struct disk_request *request = op->request;
	int error = op->error;
	bool internal = op->internal;

	if (op->link) {
		*op->link = op->next;
		if (op->next)
			op->next->link = op->link;
		queue->exclusive -= op->exclusive;
		queue->again |= queue->waiting != NULL;
	}
	queue->in_flight--;
	free(op);
	if (internal)
		request->done(request, error);
	else
		disk_complete(&queue->queue, request, error);
}

static void put_op(struct qcow2_op *op)
{
	if (!--op->pending)
		finish(op);
}

void qcow2_op_failed(struct qcow2_op *op, int error)
{
	if (!op->error)
		op->error = error;
}

void qcow2_end_piece(struct qcow2_piece *piece, int error)
{
	struct qcow2_op *op = piece->op;

	if (error)
		qcow2_op_failed(op, error);
	free(piece->bounce);
	free(piece);
	put_op(op);
}

static void on_transferred(struct disk_request *child, int error)
{
	struct qcow2_piece *piece = container_of(child, struct qcow2_piece, child);

	if (!error && piece->run.count) {
		qcow2_append(&piece->op->queue->written, piece);
		return;
	}
	qcow2_unreserve(qcow2_image_of(piece->op), &piece->reservation);
	qcow2_end_piece(piece, error);
}

struct qcow2_piece *qcow2_add_piece(struct qcow2_op *op, uint64_t from, uint64_t len)
{
	const struct disk_request *request = op->request;
	// All of a request needs no vector of its own.
	bool all = !from && len == request->len_bytes;
	unsigned count = all ? 0 : request->iov_count;
	struct qcow2_piece *piece = malloc(sizeof(*piece) + count * sizeof(piece->iov[0]));

	if (!piece) {
		qcow2_op_failed(op, -ENOMEM);
		return NULL;
	}
	*piece = (struct qcow2_piece){
		.op = op,
		.from = from,
		.len = len,
		.child = { .len_bytes = len, .iov = request->iov, .iov_count = request->iov_count },
	};
	if (count) {
		piece->child.iov = piece->iov;
		piece->child.iov_count =
			iov_slice(piece->iov, count, request->iov, count, from, len);
	}
	op->pending++;
	return piece;
}

void qcow2_transfer(struct qcow2_piece *piece, struct disk_queue *queue, enum disk_op op,
		    uint64_t offset)
{
	piece->child.op = op;
	piece->child.offset_bytes = offset;
	piece->child.unmap = piece->op->request->unmap;
	piece->child.done = on_transferred;
	disk_submit(queue, &piece->child);
}

// -- reading --

static void zero_part(struct qcow2_op *op, uint64_t from, uint64_t len)
{
	const struct disk_request *request = op->request;
	uint64_t at = 0;

	for (unsigned i = 0; i < request->iov_count && len; i++) {
		const struct iovec *iov = &request->iov[i];

		if (from < at + iov->iov_len) {
			uint64_t skip = from - at, n = MIN(iov->iov_len - skip, len);

			memset((uint8_t *)iov->iov_base + skip, 0, n);
			from += n;
			len -= n;
		}
		at += iov->iov_len;
	}
}

static void read_from(struct qcow2_op *op, struct disk_queue *queue, uint64_t offset, uint64_t from,
		      uint64_t len)
{
	struct qcow2_piece *piece = qcow2_add_piece(op, from, len);

	if (piece)
		qcow2_transfer(piece, queue, DISK_READ, offset);
}

// What is behind @end, of a file or a backing disk, reads as zeroes.
static void read_up_to(struct qcow2_op *op, struct disk_queue *queue, uint64_t end, uint64_t offset,
		       uint64_t from, uint64_t len)
{
	uint64_t available = offset < end ? MIN(len, end - offset) : 0;

	if (available)
		read_from(op, queue, offset, from, available);
	if (available < len)
		zero_part(op, from + available, len - available);
}

static int unpack(struct qcow2_queue *queue, uint64_t entry)
{
	struct qcow2_image *image = &queue->disk->image;
	int ret;

	if (queue->unpacked_entry == entry)
		return 0;
	if (!queue->unpacked)
		queue->unpacked = malloc(image->cluster_bytes);
	if (!queue->unpacked)
		return -ENOMEM;
	ret = qcow2_unpack(image, entry, queue->unpacked);
	queue->unpacked_entry = ret ? 0 : entry;
	return ret;
}

static void read_packed(struct qcow2_op *op, uint64_t entry, uint64_t offset, uint64_t from,
			uint64_t len)
{
	uint64_t skip = offset & (qcow2_image_of(op)->cluster_bytes - 1);
	int ret = unpack(op->queue, entry);

	if (ret)
		qcow2_op_failed(op, ret);
	else
		iov_from_buf(op->request->iov, op->request->iov_count, from,
			     op->queue->unpacked + skip, len);
}

static void read_extent(struct qcow2_op *op, const struct qcow2_extent *extent, uint64_t from)
{
	uint64_t offset = op->request->offset_bytes + from, len = extent->len;
	struct qcow2_queue *queue = op->queue;
	struct disk *backing = queue->disk->backing;

	if (extent->kind == QCOW2_DATA)
		read_up_to(op, queue->file, queue->disk->image.file_bytes, extent->host, from, len);
	else if (extent->kind == QCOW2_PACKED)
		read_packed(op, extent->entry, offset, from, len);
	else if (extent->kind == QCOW2_UNALLOCATED && backing)
		read_up_to(op, queue->backing, backing->info.size_bytes, offset, from, len);
	else
		zero_part(op, from, len);
}

static void read_all(struct qcow2_op *op)
{
	const struct disk_request *request = op->request;
	struct qcow2_extent extent;

	for (uint64_t from = 0; from < request->len_bytes && !op->error; from += extent.len) {
		int ret = qcow2_map(qcow2_image_of(op), request->offset_bytes + from,
				    request->len_bytes - from, &extent);

		if (ret) {
			qcow2_op_failed(op, ret);
			return;
		}
		read_extent(op, &extent, from);
	}
}

// -- flush --

static void on_flushed(struct disk_request *child, int error)
{
	struct qcow2_piece *piece = container_of(child, struct qcow2_piece, child);
	struct qcow2_image *image = qcow2_image_of(piece->op);

	if (!error && image->frees == piece->op->frees)
		qcow2_end_quarantine(image);
	qcow2_end_piece(piece, error);
}

// All that was completed stands in the file already.
static void flush(struct qcow2_op *op)
{
	struct qcow2_piece *piece;

	if (qcow2_image_of(op)->volatile_)
		return;
	op->frees = qcow2_image_of(op)->frees;
	piece = qcow2_add_piece(op, 0, 0);
	if (!piece)
		return;
	piece->child.op = DISK_FLUSH;
	piece->child.done = on_flushed;
	disk_submit(op->queue->file, &piece->child);
}

// -- operations --

static void start(struct qcow2_op *op)
{
	static void (*const starts[])(struct qcow2_op *) = {
		[DISK_READ] = read_all,
		[DISK_WRITE] = qcow2_write,
		[DISK_FLUSH] = flush,
		[DISK_DISCARD] = qcow2_discard,
		[DISK_WRITE_ZEROES] = qcow2_write_zeroes,
	};

	op->pending = 1;
	starts[op->request->op](op);
	put_op(op);
}

static void activate(struct qcow2_op *op)
{
	struct qcow2_queue *queue = op->queue;

	op->next = queue->active;
	op->link = &queue->active;
	if (op->next)
		op->next->link = &op->next;
	queue->active = op;
	queue->exclusive += op->exclusive;
	start(op);
}

static bool excludes(const struct qcow2_op *a, const struct qcow2_op *b)
{
	return (a->exclusive || b->exclusive) && a->first < b->end && b->first < a->end;
}

// Whether @op must wait for an active one, or one that waits in front of @end.
static bool must_wait(const struct qcow2_queue *queue, const struct qcow2_op *op,
		      const struct qcow2_op *end)
{
	if (queue->exclusive || op->exclusive)
		for (const struct qcow2_op *other = queue->active; other; other = other->next)
			if (excludes(op, other))
				return true;
	for (const struct qcow2_op *other = queue->waiting; other != end; other = other->next)
		if (excludes(op, other))
			return true;
	return false;
}

// Changes while it waits, as others allocate what it writes.
static bool is_exclusive(const struct qcow2_op *op)
{
	switch (op->request->op) {
	case DISK_DISCARD:
	case DISK_WRITE_ZEROES:
		return true;
	case DISK_WRITE:
		return qcow2_write_allocates(op);
	default:
		return false;
	}
}

static void start_waiting(struct qcow2_queue *queue)
{
	struct qcow2_op **link = &queue->waiting;

	while (*link) {
		struct qcow2_op *op = *link;

		op->exclusive = is_exclusive(op);
		if (must_wait(queue, op, op)) {
			link = &op->next;
			continue;
		}
		*link = op->next;
		if (!*link)
			queue->waiting_tail = link;
		activate(op);
		// That may have ended operations, and begun others.
		link = &queue->waiting;
	}
}

static struct qcow2_op *make_op(struct qcow2_queue *queue, struct disk_request *request)
{
	struct qcow2_op *op = malloc(sizeof(*op));
	const struct qcow2_image *image = &queue->disk->image;

	if (!op)
		return NULL;
	*op = (struct qcow2_op){
		.queue = queue,
		.request = request,
		.first = request->offset_bytes >> image->cluster_bits,
		.end = qcow2_clusters(image, request->offset_bytes + request->len_bytes),
	};
	queue->in_flight++;
	return op;
}

void qcow2_submit(struct disk_queue *base, struct disk_request *request)
{
	struct qcow2_queue *queue = container_of(base, struct qcow2_queue, queue);
	struct qcow2_op *op = make_op(queue, request);

	if (!op) {
		disk_complete(base, request, -ENOMEM);
		return;
	}
	if (request->op == DISK_FLUSH) {
		start(op);
		return;
	}
	op->exclusive = is_exclusive(op);
	if (must_wait(queue, op, NULL)) {
		if (!queue->waiting)
			queue->waiting_tail = &queue->waiting;
		*queue->waiting_tail = op;
		queue->waiting_tail = &op->next;
		return;
	}
	activate(op);
}

void qcow2_start_internal(struct qcow2_queue *queue, struct disk_request *request)
{
	struct qcow2_op *op = make_op(queue, request);

	if (!op) {
		request->done(request, -ENOMEM);
		return;
	}
	op->internal = true;
	start(op);
}

void qcow2_advance(struct qcow2_queue *queue)
{
	if (queue->advancing) {
		queue->again = true;
		return;
	}
	queue->advancing = true;
	do {
		queue->again = false;
		qcow2_settle(queue);
		start_waiting(queue);
		disk_kick(queue->file);
		if (queue->backing)
			disk_kick(queue->backing);
	} while (queue->again);
	queue->advancing = false;
	disk_announce(&queue->queue);
}
