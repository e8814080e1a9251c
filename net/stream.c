// SPDX-License-Identifier: GPL-2.0-or-later
// A network whose other end is a peer on a stream socket: passt, kvik-slirp, another VM.
//
// Small frames gather until the end of a round of the loop and leave together with one
// call of the kernel's; a large one leaves at once, without a copy, behind those that
// wait. Frames are received by the bufferful, large ones but for their beginning straight
// where they belong. What the device is told (the link, that
// there is more to receive) comes from the loop, never from within the device's own calls.

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "iov.h"
#include "log.h"
#include "stream-priv.h"
#include "vnet.h"

#define BUFFER_BYTES (512 * KIB)
#define GATHER_BYTES (64 * KIB) // more is not kept waiting for the end of the round
#define COPY_BYTES (4 * KIB)    // larger frames are sent as they lie
#define LARGE_BYTES (16 * KIB)  // so are received ones
#define REDIAL_NS NSEC_PER_SEC

static struct stream *stream_of(struct net *net)
{
	return container_of(net, struct stream, net);
}

// -- the end of a round --

// A deadline that has passed when it is looked at: the loop serves it after this round's
// descriptors, and it costs no call of the kernel's. Behind the timers that are due already,
// of which a round of the loop serves one.
static void end_round_soon(struct stream *stream)
{
	if (stream->loop && !stream->round.deadline_ns)
		loop_arm_timer(stream->loop, &stream->round, clock_monotonic_ns());
}

static void update_watch(struct stream *stream)
{
	uint32_t wanted = (stream->receive ? EPOLLIN : 0) | (stream->full ? EPOLLOUT : 0);

	if (stream->fd < 0 || !stream->loop || wanted == stream->watched)
		return;
	stream->watched = wanted;
	loop_modify_fd(stream->loop, &stream->peer, wanted);
}

static void flush_out(struct stream *stream)
{
	int err = frames_flush(&stream->out, stream->fd);

	if (err && err != -EAGAIN) {
		stream_lose(stream, "the peer closed it");
		return;
	}
	stream->full = err == -EAGAIN;
	update_watch(stream);
}

static void tell_link(struct stream *stream)
{
	bool up = stream->fd >= 0;

	if (up == stream->link_told)
		return;
	stream->link_told = up;
	if (stream->events.link_changed)
		stream->events.link_changed(stream->events.opaque, up);
}

// Each call may detach.
static void end_round(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, round);

	if (stream->fd >= 0 && !frames_empty(&stream->out))
		flush_out(stream);
	tell_link(stream);
	if (stream->loop && stream->owed_writable && !stream->full) {
		stream->owed_writable = false;
		stream->events.writable(stream->events.opaque);
	}
	if (stream->loop && stream->receive && frames_has_whole(&stream->in)) {
		end_round_soon(stream);
		stream->events.readable(stream->events.opaque);
	}
}

// -- the connection --

static void watch_peer(struct stream *stream)
{
	stream->peer.fd = stream->fd;
	stream->watched = (stream->receive ? EPOLLIN : 0) | (stream->full ? EPOLLOUT : 0);
	if (loop_add_fd(stream->loop, &stream->peer, stream->watched)) {
		stream->peer.fd = -1;
		stream_lose(stream, "it cannot be watched");
	}
}

void stream_connect(struct stream *stream, int fd)
{
	stream->fd = fd;
	frames_enlarge_socket(fd);
	if (stream->loop)
		watch_peer(stream);
	end_round_soon(stream);
}

static void redial_later(struct stream *stream)
{
	if (stream->loop && stream->source->dial)
		loop_arm_timer(stream->loop, &stream->redial,
			       clock_monotonic_ns() + stream->redial_ns);
}

static void redial(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, redial);
	int fd = stream->source->dial(stream);

	if (fd >= 0)
		stream_connect(stream, fd);
	else
		redial_later(stream);
}

static void unwatch_peer(struct stream *stream)
{
	if (stream->peer.fd >= 0)
		loop_remove_fd(stream->loop, &stream->peer);
	stream->peer.fd = -1;
	loop_disarm_timer(stream->loop, &stream->silence);
}

// Nothing of the connection is left over for the next one.
static void hang_up(struct stream *stream)
{
	unwatch_peer(stream);
	close(stream->fd);
	stream->fd = -1;
	stream->full = false;
	frames_buffer_clear(&stream->in);
	frames_buffer_clear(&stream->out);
}

void stream_lose(struct stream *stream, const char *why)
{
	if (stream->fd < 0)
		return;
	hang_up(stream);
	stream->source->lost(stream, why);
	redial_later(stream);
	end_round_soon(stream);
}

// The link stays up.
static void stream_forget(struct net *net)
{
	struct stream *stream = stream_of(net);
	int fd;

	if (!stream->source->renew || stream->fd < 0)
		return;
	hang_up(stream);
	fd = stream->source->renew(stream);
	if (fd >= 0)
		stream_connect(stream, fd);
	else
		redial_later(stream);
	end_round_soon(stream); // to tell the link
}

static void peer_ready(struct loop_fd *self, uint32_t epoll_events)
{
	struct stream *stream = container_of(self, struct stream, peer);

	if (epoll_events & EPOLLOUT)
		flush_out(stream);
	if (stream->fd < 0)
		return;
	end_round_soon(stream);
	if (stream->receive)
		stream->events.readable(stream->events.opaque);
	else if (epoll_events & (EPOLLHUP | EPOLLERR))
		stream_lose(stream, "the peer closed it");
}

// -- receiving --

static bool within_frame(const struct stream *stream)
{
	return !frames_empty(&stream->in) && !frames_has_whole(&stream->in);
}

static void check_silence(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, silence);

	if (!within_frame(stream))
		return;
	// While the guest takes nothing, nobody listens.
	if (!stream->heard && stream->receive) {
		stream_lose(stream, "the peer stopped in the middle of a frame");
		return;
	}
	stream->heard = false;
	loop_arm_timer(stream->loop, timer, clock_monotonic_ns() + stream->silence_ns);
}

static void expect_more(struct stream *stream)
{
	if (stream->silence.deadline_ns)
		return;
	stream->heard = false;
	loop_arm_timer(stream->loop, &stream->silence, clock_monotonic_ns() + stream->silence_ns);
}

// What frames_fill() returned: 0 when there is more in the buffer now; else what receive()
// returns.
static int check_fill(struct stream *stream, ssize_t n)
{
	if (n > 0) {
		stream->heard = true;
		return 0;
	}
	if (n == -EAGAIN) {
		if (!frames_empty(&stream->in))
			expect_more(stream);
		return -EAGAIN;
	}
	stream_lose(stream, "the peer closed it");
	return -ENOTCONN;
}

// Reads more, so that the frame is in the buffer or, its length returned, in @iov. Little
// at a time where frames are large: what is in the buffer is copied once more.
static ssize_t fill_in(struct stream *stream, const struct iovec *iov, unsigned count)
{
	size_t max = stream->large ? FRAMES_AHEAD_BYTES : SIZE_MAX;
	bool whole = false;
	ssize_t n;
	int err;

	// What has come since will be told.
	if (stream->in.drained) {
		stream->in.drained = false;
		return check_fill(stream, -EAGAIN);
	}
	n = frames_fill_direct(&stream->in, stream->fd, iov, count, &whole);
	if (n == -ENOTSUP)
		n = frames_fill(&stream->in, stream->fd, max);
	err = check_fill(stream, n);
	if (err)
		return err;
	stream->large |= whole;
	return whole ? n : 0;
}

static int refuse_length(struct stream *stream)
{
	stream_lose(stream, "the peer sent what is no frame");
	return -ENOTCONN;
}

static ssize_t take_frame(struct stream *stream, const struct iovec *iov, unsigned count)
{
	struct iovec pieces[FRAME_PIECES];
	ssize_t length;
	size_t done = 0;

	while ((length = frames_next_pieces(&stream->in, pieces)) == -EAGAIN) {
		ssize_t filled = fill_in(stream, iov, count);

		if (filled)
			return filled;
	}
	if (length < 0)
		return refuse_length(stream);
	stream->large = pieces[0].iov_len > LARGE_BYTES;
	for (unsigned i = 0; i < FRAME_PIECES; i++)
		done += iov_from_buf(iov, count, done, pieces[i].iov_base, pieces[i].iov_len);
	return done == (size_t)length ? length : -EMSGSIZE;
}

static ssize_t stream_receive(struct net *net, unsigned pair, const struct iovec *iov,
			      unsigned count)
{
	struct stream *stream = stream_of(net);
	ssize_t length;

	if (stream->fd < 0)
		return -ENOTCONN;
	length = take_frame(stream, iov, count);
	if (length < 0)
		return length;
	// A driver that takes no partial checksums gets whole ones.
	if (stream->net.info.vnet_header && !stream->trusts &&
	    vnet_complete(iov, count, (size_t)length))
		return -EMSGSIZE;
	return length;
}

static void stream_watch(struct net *net, unsigned pair, bool receive)
{
	struct stream *stream = stream_of(net);

	stream->receive = receive;
	update_watch(stream);
	// The socket does not tell of what was read from it already.
	if (receive && frames_has_whole(&stream->in))
		end_round_soon(stream);
}

// -- sending --

static int send_frame(struct stream *stream, const struct iovec *iov, unsigned count)
{
	size_t length = iov_total(iov, count);
	int err;

	if (length < FRAME_BYTES_MIN || length > FRAME_BYTES_MAX)
		return -EMSGSIZE;
	if (length <= COPY_BYTES && stream->out.end - stream->out.start < GATHER_BYTES) {
		err = frames_put(&stream->out, iov, count);
		end_round_soon(stream);
	} else {
		err = frames_send(&stream->out, stream->fd, iov, count);
	}
	if (err == -EAGAIN) {
		stream->full = true;
		update_watch(stream);
		return 0; // the rest of it is in the buffer
	}
	if (err && err != -ENOBUFS)
		stream_lose(stream, "the peer closed it");
	return err;
}

static int stream_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
{
	struct stream *stream = stream_of(net);

	if (stream->fd < 0)
		return -ENOTCONN;
	if (stream->full) {
		stream->owed_writable = true;
		return -EAGAIN;
	}
	return send_frame(stream, iov, count);
}

static int stream_set_offloads(struct net *net, unsigned offloads)
{
	stream_of(net)->trusts = offloads & NET_OFFLOAD_CSUM;
	return 0;
}

// -- open and close --

static int stream_attach(struct net *net, unsigned pair, struct loop *loop,
			 struct net_events events)
{
	struct stream *stream = stream_of(net);
	int err;

	stream->loop = loop;
	stream->events = events;
	stream->link_told = true; // which the device takes for granted
	err = stream->source->attach ? stream->source->attach(stream) : 0;
	if (err) {
		stream->loop = NULL;
		return err;
	}
	if (stream->fd >= 0)
		watch_peer(stream);
	else
		redial_later(stream);
	end_round_soon(stream);
	return 0;
}

static void stream_detach(struct net *net, unsigned pair)
{
	struct stream *stream = stream_of(net);

	if (!stream->loop)
		return;
	if (stream->source->detach)
		stream->source->detach(stream);
	if (stream->fd >= 0 && !frames_empty(&stream->out))
		(void)!frames_flush(&stream->out, stream->fd); // the last words, if they fit
	unwatch_peer(stream);
	loop_disarm_timer(stream->loop, &stream->round);
	loop_disarm_timer(stream->loop, &stream->redial);
	stream->loop = NULL;
	stream->receive = false;
	stream->owed_writable = false;
}

static void stream_close(struct net *net)
{
	struct stream *stream = stream_of(net);

	stream->source->close(stream);
}

static const struct net_ops stream_ops = {
	.close = stream_close,
	.attach = stream_attach,
	.detach = stream_detach,
	.forget = stream_forget,
	.watch = stream_watch,
	.send = stream_send,
	.receive = stream_receive,
	.set_offloads = stream_set_offloads,
};

int stream_init(struct stream *stream, const struct stream_source *source)
{
	int err;

	stream->net.ops = &stream_ops;
	stream->net.info = (struct net_info){ .name = stream->name, .queue_pairs_max = 1 };
	stream->source = source;
	stream->fd = -1;
	stream->peer = (struct loop_fd){ .fd = -1, .ready = peer_ready };
	stream->round.expired = end_round;
	stream->redial.expired = redial;
	stream->redial_ns = REDIAL_NS;
	stream->silence.expired = check_silence;
	stream->silence_ns = STREAM_SILENCE_NS;
	err = frames_buffer_init(&stream->in, BUFFER_BYTES);
	if (err)
		return err;
	err = frames_buffer_init(&stream->out, BUFFER_BYTES);
	if (err)
		frames_buffer_exit(&stream->in);
	return err;
}

void stream_exit(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	frames_buffer_exit(&stream->in);
	frames_buffer_exit(&stream->out);
}
