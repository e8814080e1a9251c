// SPDX-License-Identifier: GPL-2.0-or-later
// Viewers of the console: each sends what is new for it, and types what it receives.

#include "viewers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES 4096
#define PIECES_PER_ROUND 16 // then the others have their turn
#define INPUT_BYTES 512     // the same

struct viewer {
	struct loop_fd event;
	struct viewers *all;
	struct viewer *next;
	uint64_t id;
	unsigned columns, rows; // of its terminal; 0: not told
	struct term_view view;
	bool read_only;
	bool input_ended;  // it sends no more
	bool output_ended; // it reads no more
	bool stuck;        // its socket is full
	uint32_t watched;  // epoll events
	char mark[80];     // [mark_start, mark_end) goes out before what comes next
	size_t mark_start;
	size_t mark_end;
	size_t input_start; // [input_start, input_end) is still to be typed
	size_t input_end;
	char input[];
};

// -- size --

static void choose_size(struct viewers *all)
{
	const struct viewer *viewer = all->list; // the newest

	while (viewer && !viewer->columns)
		viewer = viewer->next;
	term_set_view_size(all->term, viewer ? viewer->columns : 0, viewer ? viewer->rows : 0);
}

static void set_size(struct viewer *viewer, unsigned columns, unsigned rows)
{
	if (columns == viewer->columns && rows == viewer->rows)
		return;
	viewer->columns = columns;
	viewer->rows = rows;
	choose_size(viewer->all);
}

int viewers_resize(struct viewers *viewers, uint64_t id, unsigned columns, unsigned rows)
{
	struct viewer *viewer = viewers->list;

	while (viewer && viewer->id != id)
		viewer = viewer->next;
	if (!viewer)
		return -ENOENT;
	if (!viewer->output_ended)
		set_size(viewer, columns, rows);
	return 0;
}

// -- life of one --

static void drop_viewer(struct viewer *viewer)
{
	struct viewers *all = viewer->all;
	struct viewer **link = &all->list;

	while (*link != viewer)
		link = &(*link)->next;
	set_size(viewer, 0, 0);
	*link = viewer->next;
	if (!--all->count)
		term_watch(all->term, NULL, NULL);
	if (viewer->watched)
		loop_remove_fd(all->loop, &viewer->event);
	close(viewer->event.fd);
	free(viewer);
}

static bool has_input(const struct viewer *viewer)
{
	return viewer->input_start < viewer->input_end;
}

static bool is_over(const struct viewer *viewer)
{
	return viewer->output_ended &&
	       (viewer->read_only || (viewer->input_ended && !has_input(viewer)));
}

// Of one that is gone nothing is to be heard but what it has typed.
static void watch(struct viewer *viewer)
{
	bool may_type = !viewer->input_ended && !has_input(viewer);
	uint32_t wanted = (may_type ? EPOLLIN : 0) | (viewer->stuck ? EPOLLOUT : 0) |
			  (viewer->output_ended ? 0 : EPOLLHUP);

	if (loop_watch_fd(viewer->all->loop, &viewer->event, &viewer->watched, wanted))
		viewer->output_ended = viewer->input_ended = true;
}

// -- output --

static void mark_loss(struct viewer *viewer)
{
	struct term_view *view = &viewer->view;
	int len = snprintf(viewer->mark, sizeof(viewer->mark),
			   "\r\n[kvik: %llu bytes of output are missing here]\r\n",
			   (unsigned long long)view->lost);

	view->lost = 0;
	viewer->mark_start = 0;
	viewer->mark_end = (size_t)len;
}

// False: nothing more can be sent now.
static bool send_bytes(struct viewer *viewer, const void *data, size_t len, size_t *sent)
{
	ssize_t n = send(viewer->event.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	*sent = n > 0 ? (size_t)n : 0;
	viewer->stuck = n < 0 && (errno == EAGAIN || errno == EINTR);
	viewer->output_ended = n < 0 && !viewer->stuck;
	return n > 0;
}

// The same, also when there is nothing to send.
static bool send_piece(struct viewer *viewer)
{
	struct term_view *view = &viewer->view;
	uint8_t piece[PIECE_BYTES];
	size_t sent, len = term_look(viewer->all->term, view, piece, sizeof(piece));
	bool more;

	if (view->lost && viewer->mark_start == viewer->mark_end)
		mark_loss(viewer);
	if (viewer->mark_start < viewer->mark_end) {
		more = send_bytes(viewer, viewer->mark + viewer->mark_start,
				  viewer->mark_end - viewer->mark_start, &sent);
		viewer->mark_start += sent;
		return more;
	}
	more = len && send_bytes(viewer, piece, len, &sent);
	if (more)
		view->position += sent;
	return more;
}

static void send_output(struct viewer *viewer)
{
	unsigned pieces = 0;

	viewer->stuck = false;
	while (!viewer->output_ended && pieces < PIECES_PER_ROUND && send_piece(viewer))
		pieces++;
	if (pieces == PIECES_PER_ROUND)
		loop_post(viewer->all->loop, &viewer->all->changed);
}

// -- input --

static void receive(struct viewer *viewer)
{
	ssize_t n = recv(viewer->event.fd, viewer->input, INPUT_BYTES, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	viewer->input_ended = n <= 0;
	viewer->input_start = 0;
	viewer->input_end = n > 0 && !viewer->read_only ? (size_t)n : 0;
}

static void type_input(struct viewer *viewer)
{
	if (has_input(viewer))
		viewer->input_start += term_type(
			viewer->all->term, (const uint8_t *)viewer->input + viewer->input_start,
			viewer->input_end - viewer->input_start);
}

// -- events --

static void serve(struct viewer *viewer)
{
	send_output(viewer);
	type_input(viewer);
	if (viewer->output_ended)
		set_size(viewer, 0, 0);
	if (is_over(viewer))
		drop_viewer(viewer);
	else
		watch(viewer);
}

static void viewer_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct viewer *viewer = container_of(event, struct viewer, event);

	if (epoll_events & (EPOLLHUP | EPOLLERR))
		viewer->output_ended = true;
	if (!has_input(viewer) && !viewer->input_ended)
		receive(viewer);
	serve(viewer);
}

static void serve_all(struct loop_post *post)
{
	struct viewers *viewers = container_of(post, struct viewers, changed);
	struct viewer *next;

	for (struct viewer *viewer = viewers->list; viewer; viewer = next) {
		next = viewer->next;
		serve(viewer);
	}
}

// -- all of them --

void viewers_init(struct viewers *viewers, struct loop *loop, struct term *term)
{
	*viewers = (struct viewers){ .loop = loop, .term = term, .changed.call = serve_all };
}

void viewers_exit(struct viewers *viewers)
{
	while (viewers->list) {
		while (!viewers->list->output_ended && send_piece(viewers->list))
			;
		drop_viewer(viewers->list);
	}
	loop_cancel_post(viewers->loop, &viewers->changed);
}

bool viewers_make_room(struct viewers *viewers)
{
	struct viewer *gone = viewers->list;

	if (viewers->count < VIEWERS_MAX)
		return true;
	while (gone && !gone->output_ended)
		gone = gone->next;
	if (gone)
		drop_viewer(gone);
	return gone;
}

static struct viewer *new_viewer(struct viewers *viewers, int fd, struct viewer_wish wish)
{
	size_t typed_bytes = wish.read_only ? 0 : wish.typed_bytes;
	struct viewer *viewer = calloc(1, sizeof(*viewer) + MAX(typed_bytes, (size_t)INPUT_BYTES));

	if (!viewer)
		return NULL;
	viewer->event = (struct loop_fd){ .fd = fd, .ready = viewer_ready };
	viewer->all = viewers;
	viewer->id = wish.id;
	viewer->read_only = wish.read_only;
	viewer->view = term_recall(viewers->term, wish.history ? VIEWERS_HISTORY_BYTES : 0);
	viewer->input_end = typed_bytes;
	if (typed_bytes)
		memcpy(viewer->input, wish.typed, typed_bytes);
	return viewer;
}

int viewers_add(struct viewers *viewers, int fd, struct viewer_wish wish)
{
	struct viewer *viewer = new_viewer(viewers, fd, wish);

	if (!viewer) {
		close(fd);
		return -ENOMEM;
	}
	viewer->next = viewers->list;
	viewers->list = viewer;
	viewers->count++;
	term_watch(viewers->term, viewers->loop, &viewers->changed);
	return 0;
}
