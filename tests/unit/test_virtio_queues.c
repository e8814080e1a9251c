// SPDX-License-Identifier: GPL-2.0-or-later
// A device with several queues on several loops: what runs where, in which order, and
// that queues on different loops do not wait for one another.

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support-virtio.h"

#include <cmocka.h>

#define QUEUES 6
#define LOOPS 3
#define SIZE 8
#define LOG_MAX 64

enum event { ACTIVATE, START, STOP, RESET, NOTIFY };

struct many {
	struct virtio_device vdev;
	// What was called, in which order.
	pthread_mutex_t lock;
	struct {
		enum event event;
		unsigned queue;
		pthread_t thread;
	} log[LOG_MAX];
	unsigned logged;
	int activate_result, start_result;
	unsigned failing_queue;
	sem_t *wait_for[QUEUES]; // before a notification is served
	sem_t *served[QUEUES];
};

struct many_guest {
	struct guest guest;
	struct guest_queue q[QUEUES];
	struct many *many;
};

static struct many *to_many(struct virtio_device *vdev)
{
	return container_of(vdev, struct many, vdev);
}

static void note(struct virtio_device *vdev, enum event event, unsigned queue)
{
	struct many *many = to_many(vdev);

	pthread_mutex_lock(&many->lock);
	if (many->logged < LOG_MAX) {
		many->log[many->logged].event = event;
		many->log[many->logged].queue = queue;
		many->log[many->logged++].thread = pthread_self();
	}
	pthread_mutex_unlock(&many->lock);
}

static uint64_t many_features(struct virtio_device *vdev)
{
	return 0;
}

static int many_activate(struct virtio_device *vdev)
{
	note(vdev, ACTIVATE, 0);
	return to_many(vdev)->activate_result;
}

static void many_reset(struct virtio_device *vdev)
{
	note(vdev, RESET, 0);
}

static int many_start_queue(struct virtio_device *vdev, unsigned queue)
{
	if (to_many(vdev)->start_result && queue == to_many(vdev)->failing_queue)
		return to_many(vdev)->start_result;
	note(vdev, START, queue);
	return 0;
}

static void many_stop_queue(struct virtio_device *vdev, unsigned queue)
{
	note(vdev, STOP, queue);
}

static bool take_chain(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	virtqueue_fill(&vdev->queues[queue], chain->head, chain->in_bytes);
	return true;
}

static void many_notify(struct virtio_device *vdev, unsigned queue)
{
	struct many *many = to_many(vdev);

	note(vdev, NOTIFY, queue);
	if (many->wait_for[queue])
		sem_wait(many->wait_for[queue]);
	virtio_take_chains(vdev, queue, take_chain);
	virtio_signal(vdev, &vdev->queues[queue]);
	if (many->served[queue])
		sem_post(many->served[queue]);
}

static void many_free(struct virtio_device *vdev)
{
	virtio_exit(vdev);
	pthread_mutex_destroy(&to_many(vdev)->lock);
	free(to_many(vdev));
}

static const struct virtio_ops many_ops = {
	.type = 42,
	.name = "many",
	.queue_count = QUEUES,
	.queue_size_max = 64,
	.features = many_features,
	.activate = many_activate,
	.reset = many_reset,
	.start_queue = many_start_queue,
	.stop_queue = many_stop_queue,
	.notify = many_notify,
	.free = many_free,
};

static void many_init(struct many_guest *m, const struct virtio_ops *ops, unsigned threads,
		      unsigned queues)
{
	struct virtio_setup setup = { .name = "many0", .threads = threads, .queue_count = queues };

	*m = (struct many_guest){ 0 };
	guest_init(&m->guest);
	m->many = calloc(1, sizeof(*m->many));
	assert_non_null(m->many);
	pthread_mutex_init(&m->many->lock, NULL);
	setup.memory = &m->guest.memory;
	assert_int_equal(virtio_init(&m->many->vdev, ops, &setup), 0);
	guest_attach(&m->guest, &m->many->vdev);
}

static void set_up(struct many_guest *m, uint64_t features, unsigned count)
{
	assert_int_equal(guest_negotiate(&m->guest, features), GUEST_FEATURES_OK);
	for (unsigned i = 0; i < count; i++)
		guest_set_up_queue(&m->guest, &m->q[i], i, SIZE);
	guest_write32(&m->guest, MMIO_STATUS, GUEST_DRIVER_OK);
}

static pthread_t thread_of(struct many_guest *m, unsigned loop)
{
	return m->many->vdev.loops[loop].own.thread;
}

static void assert_ran_on(struct many_guest *m, enum event event, unsigned queue, unsigned loop)
{
	for (unsigned i = 0; i < m->many->logged; i++)
		if (m->many->log[i].event == event && m->many->log[i].queue == queue) {
			assert_true(pthread_equal(m->many->log[i].thread, thread_of(m, loop)));
			return;
		}
	fail_msg("event %d of queue %u did not happen", event, queue);
}

static unsigned count_of(struct many_guest *m, enum event event)
{
	unsigned count = 0;

	for (unsigned i = 0; i < m->many->logged; i++)
		count += m->many->log[i].event == event;
	return count;
}

// The place of the first or of the last such event in the order of all.
static unsigned first_of(struct many_guest *m, enum event event)
{
	unsigned i = 0;

	while (i < m->many->logged && m->many->log[i].event != event)
		i++;
	return i;
}

static unsigned last_of(struct many_guest *m, enum event event)
{
	unsigned i = m->many->logged;

	while (i && m->many->log[i - 1].event != event)
		i--;
	assert_int_not_equal(i, 0);
	return i - 1;
}

// -- where and when --

static void test_each_queue_on_its_loop(void **state)
{
	struct many_guest m;

	many_init(&m, &many_ops, LOOPS, 0);
	set_up(&m, 0, QUEUES);
	guest_sync(&m.guest);
	assert_ran_on(&m, ACTIVATE, 0, 0);
	assert_int_equal(first_of(&m, ACTIVATE), 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_ptr_equal(virtio_queue_loop(&m.many->vdev, i),
				 m.many->vdev.loops[i % LOOPS].loop);
		assert_ran_on(&m, START, i, i % LOOPS);
		assert_ran_on(&m, NOTIFY, i, i % LOOPS); // what may have been offered before
	}
	m.many->logged = 0;
	guest_write32(&m.guest, MMIO_STATUS, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_ran_on(&m, STOP, i, i % LOOPS);
	assert_ran_on(&m, RESET, 0, 0);
	assert_true(first_of(&m, RESET) > last_of(&m, STOP));
	guest_exit(&m.guest);
}

static unsigned control_first(const struct virtio_device *vdev, unsigned queue, unsigned loops)
{
	return queue == QUEUES - 1 ? 0 : queue / 2 % loops;
}

static void test_the_model_decides(void **state)
{
	struct virtio_ops ops = many_ops;
	static const unsigned expected[QUEUES] = { 0, 0, 1, 1, 0, 0 };
	struct many_guest m;

	ops.queue_loop = control_first;
	many_init(&m, &ops, 2, 0);
	set_up(&m, 0, QUEUES);
	guest_sync(&m.guest);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_ran_on(&m, START, i, expected[i]);
	guest_exit(&m.guest);
}

// A driver need not use all; the instance may have fewer than its type.
static void test_only_queues_that_are_used(void **state)
{
	struct many_guest m;

	many_init(&m, &many_ops, LOOPS, 4);
	guest_write32(&m.guest, MMIO_QUEUE_SEL, 3);
	assert_int_equal(guest_read32(&m.guest, MMIO_QUEUE_NUM_MAX), 64);
	guest_write32(&m.guest, MMIO_QUEUE_SEL, 4);
	assert_int_equal(guest_read32(&m.guest, MMIO_QUEUE_NUM_MAX), 0);
	set_up(&m, 0, 2);
	guest_sync(&m.guest);
	assert_int_equal(count_of(&m, START), 2);
	assert_int_equal(count_of(&m, NOTIFY), 2);
	guest_write32(&m.guest, MMIO_QUEUE_NOTIFY, 3); // not set up
	guest_write32(&m.guest, MMIO_QUEUE_NOTIFY, 4); // not there
	guest_write32(&m.guest, MMIO_QUEUE_NOTIFY, UINT32_MAX);
	guest_sync(&m.guest);
	assert_int_equal(count_of(&m, NOTIFY), 2);
	guest_write32(&m.guest, MMIO_STATUS, 0);
	assert_int_equal(count_of(&m, STOP), 2);
	guest_exit(&m.guest);
}

static void test_size_of_a_queue(void **state)
{
	struct many_guest m;

	many_init(&m, &many_ops, 1, 0);
	virtio_limit_queue(&m.many->vdev, 5, 16);
	for (unsigned i = 0; i < 2; i++) {
		guest_write32(&m.guest, MMIO_QUEUE_SEL, 5);
		assert_int_equal(guest_read32(&m.guest, MMIO_QUEUE_NUM_MAX), 16);
		guest_write32(&m.guest, MMIO_QUEUE_SEL, 4);
		assert_int_equal(guest_read32(&m.guest, MMIO_QUEUE_NUM_MAX), 64);
		set_up(&m, 0, QUEUES);
		guest_write32(&m.guest, MMIO_STATUS, 0); // does not change it
	}
	guest_exit(&m.guest);
}

static void test_ring_features_of_others(void **state)
{
	struct virtio_device *vdev = calloc(1, sizeof(struct many));
	struct virtio_setup setup = { .name = "many0", .ring_features = VIRTIO_F_VERSION_1 };

	assert_non_null(vdev);
	assert_int_equal(virtio_init(vdev, &many_ops, &setup), 0);
	assert_int_equal(virtio_features(vdev), VIRTIO_F_VERSION_1);
	virtio_exit(vdev);
	free(vdev);
}

// -- failures --

static void test_a_queue_cannot_be_started(void **state)
{
	struct many_guest m;

	for (unsigned failing = 0; failing < QUEUES; failing++) {
		many_init(&m, &many_ops, LOOPS, 0);
		m.many->start_result = -EIO;
		m.many->failing_queue = failing;
		set_up(&m, 0, QUEUES);
		assert_true(guest_read32(&m.guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
		// What had been started has been stopped.
		assert_int_equal(count_of(&m, STOP), count_of(&m, START));
		assert_int_equal(count_of(&m, RESET), 1);
		guest_write32(&m.guest, MMIO_QUEUE_NOTIFY, 0);
		guest_sync(&m.guest);
		assert_int_equal(count_of(&m, NOTIFY), 0);
		// The next driver has more luck.
		m.many->start_result = 0;
		set_up(&m, 0, QUEUES);
		assert_int_equal(guest_read32(&m.guest, MMIO_STATUS), GUEST_DRIVER_OK);
		guest_exit(&m.guest);
	}
}

static void test_activate_fails(void **state)
{
	struct many_guest m;

	many_init(&m, &many_ops, LOOPS, 0);
	m.many->activate_result = -EIO;
	set_up(&m, 0, QUEUES);
	assert_true(guest_read32(&m.guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(count_of(&m, START), 0);
	assert_int_equal(count_of(&m, STOP), 0);
	assert_int_equal(count_of(&m, RESET), 0);
	guest_exit(&m.guest);
}

// The rings of a queue that belongs to the last loop are no rings.
static void test_bad_rings_on_another_loop(void **state)
{
	struct many_guest m;

	many_init(&m, &many_ops, LOOPS, 0);
	assert_int_equal(guest_negotiate(&m.guest, 0), GUEST_FEATURES_OK);
	for (unsigned i = 0; i < LOOPS; i++)
		guest_set_up_queue(&m.guest, &m.q[i], i, SIZE);
	guest_write32(&m.guest, MMIO_QUEUE_SEL, 5);
	guest_write32(&m.guest, MMIO_QUEUE_NUM, SIZE);
	guest_write32(&m.guest, MMIO_QUEUE_READY, 1);
	guest_write32(&m.guest, MMIO_STATUS, GUEST_DRIVER_OK);
	assert_true(guest_read32(&m.guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(count_of(&m, STOP), count_of(&m, START));
	assert_int_equal(count_of(&m, RESET), 1);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_false(m.many->vdev.queues[i].started);
	guest_exit(&m.guest);
}

static void offer_one(struct guest_queue *q)
{
	guest_desc(q, 0, GUEST_DATA_GPA + 64 * q->index, 16, RING_DESC_WRITE, 0);
	guest_offer(q, 0);
	guest_kick(q);
}

// The driver breaks one queue: the device as a whole waits for its reset, and comes back.
static void test_a_broken_queue_stops_the_device(void **state)
{
	struct many_guest m;
	struct ring_used_elem elem;

	many_init(&m, &many_ops, LOOPS, 0);
	for (unsigned i = 0; i < 4; i++) {
		set_up(&m, i & 1 ? VIRTIO_F_RING_PACKED : 0, QUEUES);
		offer_one(&m.q[4]);
		guest_wait_used(&m.q[4], &elem);
		guest_desc(&m.q[5], 0, 0, 16, 0, 0);
		guest_offer(&m.q[5], 0);
		guest_kick(&m.q[5]);
		guest_sync(&m.guest);
		assert_true(guest_read32(&m.guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
		offer_one(&m.q[4]);
		guest_sync(&m.guest);
		assert_false(guest_take_used(&m.q[4], &elem));
	}
	guest_write32(&m.guest, MMIO_STATUS, 0);
	assert_int_equal(guest_read32(&m.guest, MMIO_STATUS), 0);
	guest_exit(&m.guest);
}

// -- at the same time --

// Queue 0's loop is busy until queue 1 has been served.
static void test_queues_do_not_wait_for_each_other(void **state)
{
	struct many_guest m;
	struct ring_used_elem elem;
	sem_t served;

	sem_init(&served, 0, 0);
	many_init(&m, &many_ops, 2, 2);
	set_up(&m, 0, 2);
	guest_sync(&m.guest);
	m.many->wait_for[0] = &served;
	m.many->served[1] = &served;
	offer_one(&m.q[0]);
	offer_one(&m.q[1]);
	guest_wait_used(&m.q[0], &elem);
	guest_wait_used(&m.q[1], &elem);
	m.many->wait_for[0] = NULL;
	guest_exit(&m.guest);
	sem_destroy(&served);
}

struct worker {
	struct many_guest *m;
	unsigned queue;
	unsigned served;
};

// A driver that polls, as one of several vCPUs.
static void *drive(void *arg)
{
	struct worker *worker = arg;
	struct guest_queue *q = &worker->m->q[worker->queue];
	struct ring_used_elem elem;

	for (worker->served = 0; worker->served < 2000; worker->served++) {
		offer_one(q);
		while (!guest_take_used(q, &elem))
			usleep(10);
		if (worker->served % 16 == 0)
			guest_write32(&worker->m->guest, MMIO_INTERRUPT_ACK, 1);
	}
	return NULL;
}

static void drive_all(uint64_t features)
{
	struct worker workers[QUEUES];
	pthread_t threads[QUEUES];
	struct many_guest m;

	many_init(&m, &many_ops, LOOPS, 0);
	set_up(&m, features, QUEUES);
	for (unsigned i = 0; i < QUEUES; i++) {
		workers[i] = (struct worker){ .m = &m, .queue = i };
		assert_int_equal(pthread_create(&threads[i], NULL, drive, &workers[i]), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		pthread_join(threads[i], NULL);
	guest_exit(&m.guest);
}

static void test_all_at_once(void **state)
{
	drive_all(VIRTIO_F_EVENT_IDX);
	drive_all(VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED);
}

// Resets while every loop has something to do.
static void test_resets_under_load(void **state)
{
	struct many_guest m;

	many_init(&m, &many_ops, LOOPS, 0);
	for (unsigned i = 0; i < 200; i++) {
		m.many->logged = 0;
		set_up(&m, i & 1 ? VIRTIO_F_RING_PACKED : 0, QUEUES);
		for (unsigned q = 0; q < QUEUES; q++)
			offer_one(&m.q[q]);
		guest_write32(&m.guest, MMIO_STATUS, 0);
		assert_int_equal(count_of(&m, STOP), QUEUES);
		assert_true(last_of(&m, RESET) == m.many->logged - 1);
	}
	guest_exit(&m.guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_queue_on_its_loop),
		cmocka_unit_test(test_the_model_decides),
		cmocka_unit_test(test_only_queues_that_are_used),
		cmocka_unit_test(test_size_of_a_queue),
		cmocka_unit_test(test_ring_features_of_others),
		cmocka_unit_test(test_a_queue_cannot_be_started),
		cmocka_unit_test(test_activate_fails),
		cmocka_unit_test(test_bad_rings_on_another_loop),
		cmocka_unit_test(test_a_broken_queue_stops_the_device),
		cmocka_unit_test(test_queues_do_not_wait_for_each_other),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_resets_under_load),
	};

	alarm(100); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
