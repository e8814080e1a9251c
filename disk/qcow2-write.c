// SPDX-License-Identifier: GPL-2.0-or-later
// Changing a qcow2 disk: writes in place and into new clusters, zeroes, discards.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "qcow2-disk.h"

#define BUFFER_ALIGN 4096 // for direct I/O

static bool is_in_place(const struct qcow2_extent *extent)
{
	return extent->kind == QCOW2_DATA && extent->in_place;
}

bool qcow2_write_allocates(const struct qcow2_op *op)
{
	const struct disk_request *request = op->request;
	struct qcow2_extent extent;

	for (uint64_t from = 0; from < request->len_bytes; from += extent.len)
		if (qcow2_map(qcow2_image_of(op), request->offset_bytes + from,
			      request->len_bytes - from, &extent) ||
		    !is_in_place(&extent))
			return true;
	return false;
}

static bool reads_as_zeroes(const struct qcow2_op *op, const struct qcow2_extent *extent,
			    uint64_t cluster)
{
	const struct disk *backing = op->queue->disk->backing;

	if (extent->kind == QCOW2_UNALLOCATED)
		return !backing ||
		       cluster << qcow2_image_of(op)->cluster_bits >= backing->info.size_bytes;
	return extent->kind == QCOW2_ZEROES;
}

// -- new clusters --

// Finds up to @count clusters to write to. What reads as zeroes may have kept its own.
static int find_clusters(struct qcow2_op *op, const struct qcow2_extent *extent, uint64_t count,
			 struct qcow2_run *run)
{
	struct qcow2_image *image = qcow2_image_of(op);

	if (extent->kind != QCOW2_ZEROES || !extent->in_place)
		return qcow2_find_free(image, count, run);
	*run = (struct qcow2_run){ extent->host >> image->cluster_bits, count };
	return 0;
}

// A piece that will let the guest's clusters from that of byte @from on be those of @run.
static struct qcow2_piece *add_new(struct qcow2_op *op, const struct qcow2_extent *extent,
				   struct qcow2_run run, uint64_t from, uint64_t len)
{
	struct qcow2_image *image = qcow2_image_of(op);
	struct qcow2_piece *piece = qcow2_add_piece(op, from, len);

	if (!piece)
		return NULL;
	piece->cluster = (op->request->offset_bytes + from) >> image->cluster_bits;
	piece->run = run;
	if (extent->kind != QCOW2_ZEROES || !extent->in_place)
		qcow2_reserve(image, run, &piece->reservation);
	return piece;
}

static uint64_t run_offset(const struct qcow2_piece *piece)
{
	return piece->run.first << qcow2_image_of(piece->op)->cluster_bits;
}

// Whole clusters; returns how many bytes it took care of.
static uint64_t write_whole(struct qcow2_op *op, const struct qcow2_extent *extent, uint64_t from)
{
	struct qcow2_image *image = qcow2_image_of(op);
	struct qcow2_piece *piece;
	struct qcow2_run run;
	uint64_t len;
	int ret = find_clusters(op, extent, extent->len >> image->cluster_bits, &run);

	if (ret) {
		qcow2_op_failed(op, ret);
		return 0;
	}
	len = run.count << image->cluster_bits;
	piece = add_new(op, extent, run, from, len);
	if (piece)
		qcow2_transfer(piece, op->queue->file, DISK_WRITE, run_offset(piece));
	return len;
}

// -- a part of a new cluster --

static void abandon(struct qcow2_piece *piece, int error)
{
	qcow2_unreserve(qcow2_image_of(piece->op), &piece->reservation);
	piece->run.count = 0;
	qcow2_end_piece(piece, error);
}

// The rest of the cluster is in the buffer; adds what the guest writes.
static void write_bounce(struct qcow2_piece *piece)
{
	const struct qcow2_image *image = qcow2_image_of(piece->op);
	const struct disk_request *request = piece->op->request;
	uint64_t skip = (request->offset_bytes + piece->from) & (image->cluster_bytes - 1);

	if (request->op == DISK_WRITE)
		iov_to_buf(request->iov, request->iov_count, piece->from, piece->bounce + skip,
			   piece->len);
	else
		memset(piece->bounce + skip, 0, piece->len);
	piece->bounce_iov = (struct iovec){ piece->bounce, image->cluster_bytes };
	piece->child.iov = &piece->bounce_iov;
	piece->child.iov_count = 1;
	piece->child.len_bytes = image->cluster_bytes;
	qcow2_transfer(piece, piece->op->queue->file, DISK_WRITE, run_offset(piece));
}

static void on_filled(struct disk_request *fill, int error)
{
	struct qcow2_piece *piece = container_of(fill, struct qcow2_piece, fill);

	if (error)
		abandon(piece, error);
	else
		write_bounce(piece);
}

static void read_rest(struct qcow2_piece *piece)
{
	const struct qcow2_image *image = qcow2_image_of(piece->op);
	uint64_t offset = piece->cluster << image->cluster_bits;

	piece->bounce_iov.iov_base = piece->bounce;
	piece->bounce_iov.iov_len = MIN(image->cluster_bytes, image->size_bytes - offset);
	piece->fill = (struct disk_request){
		.op = DISK_READ,
		.offset_bytes = offset,
		.len_bytes = piece->bounce_iov.iov_len,
		.iov = &piece->bounce_iov,
		.iov_count = 1,
		.done = on_filled,
	};
	qcow2_start_internal(piece->op->queue, &piece->fill);
}

static void fill_rest(struct qcow2_piece *piece, bool zeroes)
{
	uint64_t cluster_bytes = qcow2_image_of(piece->op)->cluster_bytes;

	piece->bounce = aligned_alloc(BUFFER_ALIGN, align_up(cluster_bytes, BUFFER_ALIGN));
	if (!piece->bounce) {
		abandon(piece, -ENOMEM);
		return;
	}
	memset(piece->bounce, 0, cluster_bytes);
	if (zeroes)
		write_bounce(piece);
	else
		read_rest(piece);
}

static void write_part(struct qcow2_op *op, const struct qcow2_extent *extent, uint64_t from,
		       uint64_t len)
{
	struct qcow2_image *image = qcow2_image_of(op);
	bool zeroes, fresh;
	struct qcow2_piece *piece;
	struct qcow2_run run;
	int ret = find_clusters(op, extent, 1, &run);

	if (ret) {
		qcow2_op_failed(op, ret);
		return;
	}
	piece = add_new(op, extent, run, from, len);
	if (!piece)
		return;
	zeroes = reads_as_zeroes(op, extent, piece->cluster);
	// Where nothing was ever written, a file has zeroes already.
	fresh = run.first >= image->fresh_cluster;
	if (zeroes && fresh && op->request->op == DISK_WRITE)
		qcow2_transfer(piece, op->queue->file, DISK_WRITE,
			       run_offset(piece) + ((op->request->offset_bytes + from) &
						    (image->cluster_bytes - 1)));
	else
		fill_rest(piece, zeroes);
}

// -- writing --

static void write_in_place(struct qcow2_op *op, const struct qcow2_extent *extent, uint64_t from,
			   uint64_t len)
{
	struct qcow2_piece *piece = qcow2_add_piece(op, from, len);

	if (piece)
		qcow2_transfer(piece, op->queue->file, op->request->op, extent->host);
}

// What is left, from byte @from of the request on, up to the end of its cluster.
static uint64_t left_in_cluster(const struct qcow2_op *op, uint64_t from)
{
	uint64_t cluster_bytes = qcow2_image_of(op)->cluster_bytes;
	uint64_t in_cluster =
		cluster_bytes - ((op->request->offset_bytes + from) & (cluster_bytes - 1));

	return MIN(in_cluster, op->request->len_bytes - from);
}

// Returns how many bytes it took care of.
static uint64_t write_extent(struct qcow2_op *op, const struct qcow2_extent *extent, uint64_t from)
{
	uint64_t cluster_bytes = qcow2_image_of(op)->cluster_bytes;
	uint64_t len = left_in_cluster(op, from);

	if (is_in_place(extent)) {
		write_in_place(op, extent, from, extent->len);
		return extent->len;
	}
	if (len == cluster_bytes)
		return write_whole(op, extent, from);
	write_part(op, extent, from, len);
	return len;
}

void qcow2_write(struct qcow2_op *op)
{
	const struct disk_request *request = op->request;
	struct qcow2_extent extent;

	for (uint64_t from = 0; from < request->len_bytes && !op->error;) {
		int ret = qcow2_map(qcow2_image_of(op), request->offset_bytes + from,
				    request->len_bytes - from, &extent);

		if (ret)
			qcow2_op_failed(op, ret);
		else
			from += write_extent(op, &extent, from);
	}
}

// -- zeroes and discards --

static void zero_part(struct qcow2_op *op, uint64_t from, uint64_t len)
{
	uint64_t offset = op->request->offset_bytes + from;
	struct qcow2_extent extent;
	int ret = qcow2_map(qcow2_image_of(op), offset, len, &extent);

	if (ret)
		qcow2_op_failed(op, ret);
	else if (is_in_place(&extent))
		write_in_place(op, &extent, from, len);
	else if (!reads_as_zeroes(op, &extent, offset >> qcow2_image_of(op)->cluster_bits))
		write_part(op, &extent, from, len);
}

static int clear_whole(struct qcow2_op *op, uint64_t from, uint64_t count, enum qcow2_clear how)
{
	struct qcow2_image *image = qcow2_image_of(op);
	uint64_t offset = op->request->offset_bytes + from;

	return qcow2_clear(image, offset >> image->cluster_bits, count, how,
			   op->queue->disk->backing != NULL);
}

void qcow2_write_zeroes(struct qcow2_op *op)
{
	const struct qcow2_image *image = qcow2_image_of(op);
	const struct disk_request *request = op->request;
	enum qcow2_clear how = request->unmap ? QCOW2_CLEAR_ZERO : QCOW2_CLEAR_ZERO_KEEP;
	bool can_clear = image->version > 2 || !op->queue->disk->backing;

	for (uint64_t from = 0, len; from < request->len_bytes && !op->error; from += len) {
		uint64_t count = (request->len_bytes - from) >> image->cluster_bits;
		int ret;

		len = left_in_cluster(op, from);
		if (len < image->cluster_bytes || !can_clear) {
			zero_part(op, from, len);
			continue;
		}
		ret = clear_whole(op, from, count, how);
		if (ret)
			qcow2_op_failed(op, ret);
		len = count << image->cluster_bits;
	}
}

// Whole clusters; the disk's last one need not be one.
void qcow2_discard(struct qcow2_op *op)
{
	const struct qcow2_image *image = qcow2_image_of(op);
	const struct disk_request *request = op->request;
	uint64_t end = request->offset_bytes + request->len_bytes, first, last;
	int ret = 0;

	first = qcow2_clusters(image, request->offset_bytes);
	last = end == image->size_bytes ? qcow2_clusters(image, end) : end >> image->cluster_bits;
	if (first < last)
		ret = clear_whole(op, (first << image->cluster_bits) - request->offset_bytes,
				  last - first, QCOW2_CLEAR_DISCARD);
	// It is a hint.
	if (ret && ret != -EOPNOTSUPP)
		qcow2_op_failed(op, ret);
}

// -- settling --

// Tables first: what was counted and cannot be linked would be lost.
static bool commit_piece(struct qcow2_piece *piece)
{
	struct qcow2_image *image = qcow2_image_of(piece->op);
	int ret = 0;

	if (piece->reservation.run.count)
		ret = qcow2_own_tables(image, piece->cluster, piece->run.count);
	if (!ret && piece->reservation.run.count)
		ret = qcow2_commit(image, &piece->reservation);
	if (ret)
		abandon(piece, ret);
	return !ret;
}

static void link_piece(struct qcow2_piece *piece)
{
	int ret;

	if (!commit_piece(piece))
		return;
	ret = qcow2_link(qcow2_image_of(piece->op), piece->cluster, piece->run);
	piece->run.count = 0;
	qcow2_end_piece(piece, ret);
}

static void on_synced(struct disk_request *sync, int error)
{
	struct qcow2_queue *queue = container_of(sync, struct qcow2_queue, sync);
	struct qcow2_piece *piece, *next;

	queue->sync_in_flight = false;
	queue->again = true;
	for (piece = queue->syncing.head; piece; piece = next) {
		next = piece->next;
		if (error)
			abandon(piece, error);
		else
			link_piece(piece);
	}
	queue->syncing.head = NULL;
}

static void sync_pieces(struct qcow2_queue *queue)
{
	if (queue->sync_in_flight || !queue->unsynced.head)
		return;
	queue->syncing = queue->unsynced;
	queue->unsynced.head = NULL;
	queue->sync_in_flight = true;
	queue->sync = (struct disk_request){ .op = DISK_FLUSH, .done = on_synced };
	disk_submit(queue->file, &queue->sync);
}

// Version 2 has no dirty bit: there the refcounts must be in the file before the entry.
static void settle_piece(struct qcow2_piece *piece)
{
	const struct qcow2_image *image = qcow2_image_of(piece->op);
	bool count_first = image->version < 3 && !image->volatile_;

	if (count_first && !commit_piece(piece))
		return;
	if (count_first || (piece->bounce && !image->volatile_))
		qcow2_append(&piece->op->queue->unsynced, piece);
	else
		link_piece(piece);
}

void qcow2_settle(struct qcow2_queue *queue)
{
	while (queue->written.head) {
		struct qcow2_piece *piece = queue->written.head;

		queue->written.head = piece->next;
		settle_piece(piece);
	}
	sync_pieces(queue);
}
